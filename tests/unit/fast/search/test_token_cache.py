from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from regard.fast.search.token_cache import TokenCache


def test_each_word_is_computed_once_and_looked_up_from_then_on() -> None:
    asked: list[list[int]] = []

    def square(words: Tensor) -> Tensor:
        asked.append(words.tolist())
        return torch.stack([words, words**2], dim=1).double()

    table = TokenCache(square, vocabulary_size=40, device=torch.device("cpu"))
    for said in ([3, 1, 3], [1, 3], [39, 1, 0, 5, 6, 7, 8, 39], [39, 3]):
        rows = table(torch.tensor(said))
        assert rows.tolist() == [[word, word**2] for word in said]
        rows.zero_()  # what is returned belongs to the caller
    assert asked == [[word] for word in (1, 3, 0, 5, 6, 7, 8, 39)]


def test_a_row_is_the_same_bits_whatever_it_is_first_asked_for_with() -> None:
    generator = torch.Generator().manual_seed(1)
    embedding, matrix = torch.randn(60, 48, generator=generator), torch.randn(48, 200, generator=generator)
    orders = [torch.randperm(60, generator=generator) for _ in range(3)]
    tables = []
    for order in orders:
        table = TokenCache(lambda words: embedding[words] @ matrix, vocabulary_size=60, device=torch.device("cpu"))
        for tokens in order.split(int(order[0]) % 7 + 1):
            table(tokens)
        tables.append(table(torch.arange(60)))
    assert all(torch.equal(tables[0], each) for each in tables[1:])


def test_a_table_that_learned_in_inference_mode_learns_outside_of_it() -> None:
    with torch.inference_mode():
        table = TokenCache(lambda words: words.unsqueeze(1) * 2.0, vocabulary_size=9, device=torch.device("cpu"))
        assert table(torch.tensor([1, 2])).tolist() == [[2], [4]]
    assert table(torch.tensor([8, 2])).tolist() == [[16], [4]]


def test_threads_may_share_a_table() -> None:
    table = TokenCache(lambda words: words.unsqueeze(1) * 2.0, vocabulary_size=5000, device=torch.device("cpu"))

    def look_up(seed: int) -> bool:
        tokens = torch.randint(0, 5000, (200, 40), generator=torch.Generator().manual_seed(seed))
        return all(torch.equal(table(each), each.unsqueeze(1) * 2.0) for each in tokens)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(look_up, range(8)))
