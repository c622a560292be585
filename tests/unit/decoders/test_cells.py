import pytest
import torch

from regard.decoders.cells import GRUCell, LSTMCell, build_cell, hidden_names

THEIRS = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}


def pair(name):
    """Our cell for parts of 3, 1 and 4 numbers, and PyTorch's with the same weights, which load by name."""
    torch.manual_seed(0)
    theirs = THEIRS[name](8, 5).double()
    ours = build_cell(name, (3, 1, 4), 5).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def advance(ours, x, hidden):
    return ours.update(sum(ours.project(i, part) for i, part in enumerate(x.split([3, 1, 4], dim=-1))), hidden)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_three_steps_equal_pytorch(name):
    ours, theirs = pair(name)
    x = torch.randn(3, 7, 8, dtype=torch.float64)
    state = [torch.randn(7, 5, dtype=torch.float64) for _ in hidden_names(name)]
    hidden = dict(zip(hidden_names(name), state, strict=True))
    for step in x:
        hidden = advance(ours, step, hidden)
        state = theirs(step, tuple(state) if name == "lstm" else state[0])
        state = list(state) if name == "lstm" else [state]
        for key, expected in zip(hidden_names(name), state, strict=True):
            torch.testing.assert_close(hidden[key], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gradients_equal_pytorch(name):
    ours, theirs = pair(name)
    x = torch.randn(4, 8, dtype=torch.float64)
    state = {key: torch.randn(4, 5, dtype=torch.float64) for key in hidden_names(name)}
    advance(ours, x, state)["h"].square().sum().backward()
    result = theirs(x, (state["h"], state["c"]) if name == "lstm" else state["h"])
    (result[0] if name == "lstm" else result).square().sum().backward()
    for (key, mine), (other, yours) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert key == other
        torch.testing.assert_close(mine.grad, yours.grad, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_rows_and_batch_are_only_leading_dimensions(name):
    ours, _ = pair(name)
    x = torch.randn(3, 2, 8, dtype=torch.float64)
    hidden = {key: torch.randn(3, 2, 5, dtype=torch.float64) for key in hidden_names(name)}
    flat = advance(ours, x.flatten(0, 1), {key: value.flatten(0, 1) for key, value in hidden.items()})
    for key, value in advance(ours, x, hidden).items():
        torch.testing.assert_close(value.flatten(0, 1), flat[key])


def test_names_and_kinds():
    assert isinstance(build_cell("lstm", (2,), 3), LSTMCell)
    assert isinstance(build_cell("gru", (2,), 3), GRUCell)
    assert hidden_names("lstm") == ("h", "c")
    assert hidden_names("gru") == ("h",)
