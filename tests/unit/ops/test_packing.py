"""Packed tokens stand where the lengths say, whatever their order."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from regard.ops.packing import Packing, pack_targets, share_prefixes

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
        here = step.carry(before)
        assert torch.equal(here, names[found.flatten() > t])
        block = step.to_block(here)
        assert block.shape[:2] == (step.num_inputs, step.num_columns)
        assert torch.equal(
            block, (names.view(batch, rows, 1) * (found > t).unsqueeze(-1))[: step.num_inputs, : step.num_columns]
        )
        assert torch.equal(step.from_block(block), here)
        assert torch.equal(step.offsets.diff(), (found > t).sum(dim=1)[: step.num_inputs])
        given_back = step.carry_back(here, len(before))
        assert torch.equal(given_back, before * torch.isin(before, here))
        expected.append(here)
        states.append(here)
        before = here
    assert len(packing.steps) == int(found.max())
    assert torch.equal(torch.cat(states)[packing.before()], torch.cat(expected))


def test_full_targets_need_no_indices():
    packing = pack_targets(None, batch=2, rows=3, time=4, device=CPU)
    assert all(step.parents is None for step in packing.steps)
    assert all(step.block_index is None for step in packing.steps)
    assert len(packing) == 24


@settings(max_examples=80, deadline=None)
@given(lengths(), st.data())
def test_rows_of_an_input_share_what_they_begin_with(case, data):
    found, time = case
    packing = packed(found, time)
    batch, rows = found.shape
    read = torch.tensor(
        data.draw(st.lists(st.integers(0, 2), min_size=batch * rows * time, max_size=batch * rows * time))
    )
    read = read.view(batch, rows, time)
    shared, places = share_prefixes(packing, packing.pack(read.unsqueeze(-1)).squeeze(-1))

    def beginning(token: int) -> tuple[int, ...]:
        row, t = divmod(token, time)
        return (row // rows, *read.flatten(0, 1)[row, : t + 1].tolist())

    of_tokens = [beginning(token) for token in packing.index.tolist()]
    of_places = [beginning(token) for token in shared.index.tolist()]
    assert sorted(set(of_tokens)) == sorted(of_places)
    assert [of_places[place] for place in places.tolist()] == of_tokens
    assert shared.inputs.tolist() == [each[0] for each in of_places]
    numbers = torch.rand(len(shared), 2)
    assert torch.equal(shared.from_inputs(shared.to_inputs(numbers)), numbers)
    before = [(each[0],) for each in of_places[: shared.steps[0].tokens.stop]]
    assert [(before + of_places)[place] for place in shared.before().tolist()] == [each[:-1] for each in of_places]
    state = torch.rand(shared.steps[0].tokens.stop, 2)
    for step in shared.steps:
        pushed, number = torch.rand(step.tokens.stop - step.tokens.start, 2), len(state)
        state = state.requires_grad_()
        kept = step.carry(state)
        assert torch.equal(step.from_block(step.to_block(kept)), kept)
        (expected,) = torch.autograd.grad((kept * pushed).sum(), state)
        torch.testing.assert_close(step.carry_back(pushed, number), expected)
        state = kept.detach()
