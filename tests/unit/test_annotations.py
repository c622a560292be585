from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from regard.annotations import Annotations, Regions, Spans


def _annotations(*, summary: bool) -> Annotations:
    values = torch.arange(24.0).view(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    geometry = (Spans("ab", ((0, 1), (1, 2))), Spans("abcd", ((0, 1), (1, 2), (2, 3), (3, 4))))
    return Annotations(values, mask, torch.tensor([[1.0, 2, 3], [4, 5, 6]]) if summary else None, geometry)


def test_the_mean_is_over_real_positions() -> None:
    assert _annotations(summary=False).mean().tolist() == [[1.5, 2.5, 3.5], [16.5, 17.5, 18.5]]
    assert Annotations(torch.arange(6.0).view(1, 2, 3)).mean().tolist() == [[1.5, 2.5, 3.5]]


def test_the_vector_is_the_summary_where_there_is_one() -> None:
    assert _annotations(summary=True).vector().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert torch.equal(_annotations(summary=False).vector(), _annotations(summary=False).mean())


@pytest.mark.parametrize("summary", [True, False])
def test_selecting_takes_everything_of_an_input(summary: bool) -> None:
    annotations = _annotations(summary=summary)
    chosen = annotations.select(torch.tensor([1, 0, 1]))
    assert len(chosen) == 3
    assert annotations.mask is not None
    assert chosen.mask is not None
    assert torch.equal(chosen.values, annotations.values[[1, 0, 1]])
    assert torch.equal(chosen.mask, annotations.mask[[1, 0, 1]])
    assert torch.equal(chosen.vector(), annotations.vector()[[1, 0, 1]])
    assert [len(place) for place in chosen.geometry] == [4, 2, 4]


def test_moving_keeps_everything() -> None:
    annotations = _annotations(summary=True)
    moved = annotations.to("cpu")
    assert moved.mask is not None
    assert torch.equal(moved.vector(), annotations.vector())
    assert moved.geometry == annotations.geometry


def test_a_grid_has_one_rectangle_a_cell() -> None:
    cell = (0.0, 0.0, 1.0, 1.0)
    assert len(Regions(2, 3, (cell,) * 6, 9, 6)) == 6
    with pytest.raises(AssertionError, match="one rectangle per cell"):
        Regions(2, 3, (cell,) * 5, 9, 6)


def test_shapes_that_do_not_belong_together_are_our_mistake() -> None:
    for shape, mask in (((2, 3), None), ((2, 3, 4), torch.ones(2, 4, dtype=torch.bool))):
        with pytest.raises((AssertionError, TypeCheckError)):
            Annotations(torch.zeros(shape), mask)
