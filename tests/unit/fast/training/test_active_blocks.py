import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.fast.training.active_blocks import active_blocks, stack_steps


def test_without_lengths_every_step_is_full():
    assert active_blocks(None, batch=3, rows=2, time=4) == [(3, 2)] * 4


def test_sorted_lengths_give_a_staircase():
    lengths = torch.tensor([[4, 2], [3, 1], [1, 1]])
    assert active_blocks(lengths, batch=3, rows=2, time=5) == [(3, 2), (2, 2), (2, 1), (1, 1), (0, 0)]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_blocks_are_the_smallest_that_hold_every_unfinished_row(data):
    batch, rows, time = (data.draw(st.integers(1, 5)) for _ in range(3))
    lengths = data.draw(
        st.lists(st.lists(st.integers(0, time), min_size=rows, max_size=rows), min_size=batch, max_size=batch)
    )
    for t, (inputs, columns) in enumerate(active_blocks(torch.tensor(lengths), batch=batch, rows=rows, time=time)):
        running = [(b, r) for b in range(batch) for r in range(rows) if lengths[b][r] > t]
        assert inputs == max((b + 1 for b, _ in running), default=0)
        assert columns == max((r + 1 for _, r in running), default=0)


def test_steps_are_stacked_with_zeros_where_nothing_was_read():
    steps = [torch.full((3, 2, 5), 1.0), torch.full((2, 1, 5), 2.0)]
    stacked = stack_steps(steps, batch=3, rows=2, time=4)
    expected = torch.zeros(3, 2, 4, 5)
    expected[:, :, 0] = 1
    expected[:2, :1, 1] = 2
    assert torch.equal(stacked, expected)


def test_vectors_without_a_last_dimension_are_stacked_too():
    stacked = stack_steps([torch.ones(2, 3), torch.full((1, 2), 2.0)], batch=2, rows=3, time=2)
    assert stacked.tolist() == [[[1, 2], [1, 2], [1, 0]], [[1, 0], [1, 0], [1, 0]]]
