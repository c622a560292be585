from __future__ import annotations

import torch

from regard.attention import Memory
from regard.decoders.base import EMPTY
from regard.fast.search.unique_parents import FamilyState


def state(batch: int, rows: int) -> FamilyState:
    values = torch.arange(batch).view(-1, 1, 1).expand(-1, 2, 3).float()
    numbered = torch.arange(batch * rows).unsqueeze(1).float()
    return FamilyState(Memory(values, values), {"h": numbered}, places=torch.arange(batch * rows).view(batch, rows))


def test_every_row_that_is_continued_looks_once() -> None:
    looking = state(2, 3).reorder(torch.tensor([[2, 2, 0, 2], [1, 1, 1, 1]])).looking()
    assert looking.rows.tolist() == [0, 2, 4]
    assert looking.sees.tolist() == [1, 1, 0, 1, 2, 2, 2, 2]
    assert looking.parents.tolist() == [2, 2, 0, 2, 4, 4, 4, 4]
    assert looking.looks.bounds.tolist() == [0, 2, 3]
    assert looking.living is None


def test_before_the_first_reordering_every_row_looks() -> None:
    looking = state(2, 2).looking()
    assert looking.rows.tolist() == looking.sees.tolist() == looking.parents.tolist() == [0, 1, 2, 3]
    looks = torch.arange(4.0).view(4, 1)
    assert torch.equal(looking.looks.to_block(looks), looks.view(2, 2, 1))
    assert torch.equal(looking.looks.from_block(looks.view(2, 2, 1)), looks)


def test_looks_come_first_in_the_block_of_their_input() -> None:
    looking = state(3, 4).reorder(torch.tensor([[3, 3, 1], [2, 2, 2], [0, 1, 3]])).looking()
    looks = torch.tensor([[1.0, 1.5], [3, 3.5], [6, 6.5], [8, 8.5], [9, 9.5], [11, 11.5]])
    assert looking.looks.bounds.tolist() == [0, 2, 3, 6]
    assert looking.looks.owners().tolist() == [0, 0, 1, 2, 2, 2]
    assert looking.owners.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    block = looking.looks.to_block(looks)
    assert block[..., 0].tolist() == [[1, 3, 0], [6, 0, 0], [8, 9, 11]]
    assert torch.equal(looking.looks.from_block(block), looks)


def test_reordering_twice_and_leaving_are_those_of_rows() -> None:
    first, second, kept = torch.tensor([[2, 0], [1, 1], [0, 2]]), torch.tensor([[1, 1], [0, 1], [1, 0]]), [0, 2]
    moved = state(3, 3).reorder(first).reorder(second).select(torch.tensor(kept))
    looking = moved.looking()
    expected = state(3, 3).places.gather(1, first.gather(1, second))[kept]
    assert moved.rows["h"][looking.parents, 0].view(2, 2).tolist() == expected.tolist()
    assert moved.memory.values[:, 0, 0].tolist() == [0, 2]


def test_nothing_is_looked_at_for_empty_rows() -> None:
    moved = state(3, 3).reorder(torch.tensor([[EMPTY, 2, 0], [EMPTY] * 3, [1, EMPTY, 1]]))
    looking = moved.looking()
    assert looking.living is not None
    assert looking.living.tolist() == [1, 2, 6, 8]
    assert looking.parents.tolist() == [2, 0, 7, 7]
    assert looking.rows.tolist() == [0, 2, 7]
    assert looking.sees.tolist() == [1, 0, 2, 2]
    assert looking.looks.bounds.tolist() == [0, 2, 2, 3]
    after = moved.following({"h": torch.tensor([[12.0], [10.0], [17.0], [17.0]])}, looking.living)
    assert after.places.tolist() == [[EMPTY, 0, 1], [EMPTY] * 3, [2, EMPTY, 3]]
    again = after.reorder(torch.tensor([[2, EMPTY], [EMPTY, EMPTY], [0, 2]])).select(torch.tensor([0, 2])).looking()
    assert again.rows.tolist() == [1, 2, 3]
    assert again.looks.bounds.tolist() == [0, 1, 3]
