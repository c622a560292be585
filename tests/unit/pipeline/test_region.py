"""Attention held to some positions equals scores of minus infinity at the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regard.annotations import Annotations, Regions
from regard.attention import Attention
from regard.pipeline.region import gather_positions, positions_in, scatter_weights


def grid(rows: int, columns: int) -> Regions:
    cells = tuple((x * 10.0, y * 10.0, x * 10 + 10.0, y * 10 + 10.0) for y in range(rows) for x in range(columns))
    return Regions(rows=rows, columns=columns, rectangles=cells, width=columns * 10, height=rows * 10)


def test_a_box_holds_the_cells_whose_centre_lies_in_it() -> None:
    regions = grid(3, 4)
    assert positions_in((0, 0, 1, 1), regions) == tuple(range(12))
    assert positions_in((0.5, 0.3, 1, 0.7), regions) == (6, 7)
    assert positions_in((0.99, 0.99, 1, 1), regions) == (11,)


def test_gathered_positions_equal_masked_scores() -> None:
    torch.manual_seed(0)
    attention, values, query = Attention(5, 7, attention_dim=6), torch.randn(2, 9, 7), torch.randn(2, 3, 5)
    kept = [(1, 4, 8), (0, 2, 3, 5, 7)]
    inside = attention.weights(query, attention.remember(gather_positions(Annotations(values), kept)))
    scores = attention.score(query, attention.score.keys(values))
    for each, positions in enumerate(kept):
        outside = torch.ones(9, dtype=torch.bool)
        outside[list(positions)] = False
        expected = scores[each].masked_fill(outside, float("-inf")).softmax(dim=-1).detach().numpy()
        found = inside[each, :, : len(positions)].detach().numpy().astype(np.float32)
        assert scatter_weights(found, positions, positions=9) == pytest.approx(expected, abs=1e-6)
        assert not inside[each, :, len(positions) :].any()


def test_inputs_with_equally_many_positions_need_no_mask() -> None:
    gathered = gather_positions(Annotations(torch.randn(2, 4, 3)), [(0, 1), (2, 3)])
    assert gathered.mask is None
    assert gathered.values.shape == (2, 2, 3)
