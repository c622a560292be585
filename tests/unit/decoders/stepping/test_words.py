from __future__ import annotations

import torch
from torch import Tensor

from regard.decoders.stepping.words import WordTable


def test_each_word_is_computed_once_and_looked_up_from_then_on() -> None:
    asked: list[list[int]] = []

    def square(words: Tensor) -> Tensor:
        asked.append(words.tolist())
        return torch.stack([words, words**2], dim=1).double()

    table = WordTable(square, vocabulary_size=40, device=torch.device("cpu"))
    for said in ([3, 1, 3], [1, 3], [39, 1, 0, 5, 6, 7, 8, 39], [39, 3]):
        rows = table(torch.tensor(said))
        assert rows.tolist() == [[word, word**2] for word in said]
        rows.zero_()  # what is returned belongs to the caller
    assert asked == [[1, 3], [0, 5, 6, 7, 8, 39]]
