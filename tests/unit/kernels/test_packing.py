"""Packed tokens stand where the lengths say, whatever their order."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from regard.kernels.packing import Packing, pack_targets

CPU = torch.device("cpu")


@st.composite
def lengths(draw: st.DrawFn) -> tuple[Tensor, int]:
    batch, rows, time = (draw(st.integers(1, most)) for most in (5, 4, 6))
    found = torch.tensor(draw(st.lists(st.integers(0, time), min_size=batch * rows, max_size=batch * rows)))
    found[draw(st.integers(0, batch * rows - 1))] = time
    return found.view(batch, rows), time


def packed(found: Tensor, time: int) -> Packing:
    return pack_targets(found, batch=found.shape[0], rows=found.shape[1], time=time, device=CPU)


@settings(max_examples=60, deadline=None)
@given(lengths())
def test_exactly_the_real_tokens_are_packed_and_come_back(case):
    found, time = case
    packing = packed(found, time)
    real = torch.arange(time) < found.unsqueeze(-1)
    padded = torch.arange(1, real.numel() + 1).view(*real.shape, 1)
    tokens = packing.pack(padded)
    assert len(packing) == int(found.sum())
    assert torch.equal(packing.unpack(tokens), padded * real.unsqueeze(-1))
    assert torch.equal(packing.from_inputs(packing.to_inputs(tokens)), tokens)
    assert torch.equal((tokens.squeeze(1) - 1) // (found.shape[1] * time), packing.inputs)
    assert packing.to_inputs(tokens).shape == (len(found), int(found.sum(dim=1).max()), 1)
    backwards = packing.unpack(tokens[packing.reversal()]).squeeze(-1)
    for row, turned, length in zip(padded.flatten(0, 1), backwards.flatten(0, 1), found.flatten(), strict=True):
        assert torch.equal(turned[:length], row[:length, 0].flip(0))


@settings(max_examples=60, deadline=None)
@given(lengths())
def test_each_step_holds_the_rows_that_go_on(case):
    found, time = case
    packing = packed(found, time)
    batch, rows = found.shape
    names = torch.arange(1, batch * rows + 1).view(-1, 1)
    before = names[found.flatten() > 0]
    assert torch.equal(packing.first_inputs, (before.squeeze(1) - 1) // rows)
    states, expected = [before], []
    for t, step in enumerate(packing.steps):
        here = step.keep(before)
        assert torch.equal(here, names[found.flatten() > t])
        block = step.to_block(here)
        assert block.shape[:2] == (step.inputs, step.columns)
        assert torch.equal(
            block, (names.view(batch, rows, 1) * (found > t).unsqueeze(-1))[: step.inputs, : step.columns]
        )
        assert torch.equal(step.from_block(block), here)
        given_back = step.give_back(here, len(before))
        assert torch.equal(given_back, before * torch.isin(before, here))
        expected.append(here)
        states.append(here)
        before = here
    assert len(packing.steps) == int(found.max())
    assert torch.equal(torch.cat(states)[packing.before()], torch.cat(expected))


def test_full_targets_need_no_indices():
    packing = pack_targets(None, batch=2, rows=3, time=4, device=CPU)
    assert all(step.kept is None for step in packing.steps)
    assert all(step.places is None for step in packing.steps)
    assert len(packing) == 24
