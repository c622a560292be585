from __future__ import annotations

import torch

from regard.attention import Memory
from regard.decoders.base import EMPTY
from regard.fast.search.beam_state import BeamState


def state(batch: int, rows: int) -> BeamState:
    values = torch.arange(batch).view(-1, 1, 1).expand(-1, 2, 3).float()
    numbered = torch.arange(batch * rows).unsqueeze(1).float()
    return BeamState(Memory(values, values), {"h": numbered}, parents=torch.arange(batch * rows).view(batch, rows))


def test_every_parent_is_listed_once() -> None:
    index = state(2, 3).reorder(torch.tensor([[2, 2, 0, 2], [1, 1, 1, 1]])).parent_index()
    assert index.unique.tolist() == [0, 2, 4]
    assert index.inverse.tolist() == [1, 1, 0, 1, 2, 2, 2, 2]
    assert index.parents.tolist() == [2, 2, 0, 2, 4, 4, 4, 4]
    assert index.rows.offsets.tolist() == [0, 2, 3]
    assert index.active is None


def test_before_the_first_reordering_every_row_is_a_parent() -> None:
    index = state(2, 2).parent_index()
    assert index.unique.tolist() == index.inverse.tolist() == index.parents.tolist() == [0, 1, 2, 3]
    values = torch.arange(4.0).view(4, 1)
    assert torch.equal(index.rows.to_block(values), values.view(2, 2, 1))
    assert torch.equal(index.rows.from_block(values.view(2, 2, 1)), values)


def test_parents_come_first_in_the_block_of_their_input() -> None:
    index = state(3, 4).reorder(torch.tensor([[3, 3, 1], [2, 2, 2], [0, 1, 3]])).parent_index()
    values = torch.tensor([[1.0, 1.5], [3, 3.5], [6, 6.5], [8, 8.5], [9, 9.5], [11, 11.5]])
    assert index.rows.offsets.tolist() == [0, 2, 3, 6]
    assert index.rows.batch_index().tolist() == [0, 0, 1, 2, 2, 2]
    assert index.batch_index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    block = index.rows.to_block(values)
    assert block[..., 0].tolist() == [[1, 3, 0], [6, 0, 0], [8, 9, 11]]
    assert torch.equal(index.rows.from_block(block), values)


def test_reordering_twice_and_leaving_are_those_of_rows() -> None:
    first, second, kept = torch.tensor([[2, 0], [1, 1], [0, 2]]), torch.tensor([[1, 1], [0, 1], [1, 0]]), [0, 2]
    moved = state(3, 3).reorder(first).reorder(second).select(torch.tensor(kept))
    index = moved.parent_index()
    expected = state(3, 3).parents.gather(1, first.gather(1, second))[kept]
    assert moved.rows["h"][index.parents, 0].view(2, 2).tolist() == expected.tolist()
    assert moved.memory.values[:, 0, 0].tolist() == [0, 2]


def test_empty_hypotheses_have_no_parent() -> None:
    moved = state(3, 3).reorder(torch.tensor([[EMPTY, 2, 0], [EMPTY] * 3, [1, EMPTY, 1]]))
    index = moved.parent_index()
    assert index.active is not None
    assert index.active.tolist() == [1, 2, 6, 8]
    assert index.parents.tolist() == [2, 0, 7, 7]
    assert index.unique.tolist() == [0, 2, 7]
    assert index.inverse.tolist() == [1, 0, 2, 2]
    assert index.rows.offsets.tolist() == [0, 2, 2, 3]
    after = moved.following({"h": torch.tensor([[12.0], [10.0], [17.0], [17.0]])}, index.active)
    assert after.parents.tolist() == [[EMPTY, 0, 1], [EMPTY] * 3, [2, EMPTY, 3]]
    again = (
        after.reorder(torch.tensor([[2, EMPTY], [EMPTY, EMPTY], [0, 2]])).select(torch.tensor([0, 2])).parent_index()
    )
    assert again.unique.tolist() == [1, 2, 3]
    assert again.rows.offsets.tolist() == [0, 1, 3]
