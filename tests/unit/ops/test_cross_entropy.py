"""The loss by blocks of tokens against PyTorch's own, and its gradients against autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from regard.ops import cross_entropy
from regard.ops.cross_entropy import linear_cross_entropy

pytestmark = pytest.mark.usefixtures("arithmetic")

TOKENS, DIM = 13, 5


def operands(vocabulary: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(vocabulary)
    shapes = {"readouts": (TOKENS, DIM), "weight": (vocabulary, DIM), "bias": (vocabulary,)}
    return {
        name: torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for name, shape in shapes.items()
    }


def plain(
    readouts: Tensor,
    targets: Tensor,
    *,
    weight: Tensor,
    bias: Tensor | None,
    token_weights: Tensor,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    logits = F.linear(readouts, weight, bias)
    losses = F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    return (losses * token_weights).sum(), logits.log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("vocabulary", "at_once"), [(1, 4), (7, 5), (16, 13), (33, 1), (50, 1000)])
def test_loss_and_gradients_equal_the_plain_path(vocabulary, at_once, smoothing, bias, dtype, monkeypatch):
    monkeypatch.setattr(cross_entropy, "TOKENS_AT_ONCE", at_once)
    tensors = operands(vocabulary, dtype)
    targets = torch.randint(0, vocabulary, (TOKENS,), generator=torch.Generator().manual_seed(0))
    token_weights = torch.linspace(-1, 2, TOKENS, dtype=dtype)
    used = [tensor for name, tensor in tensors.items() if bias or name != "bias"]
    results = []
    for function in (linear_cross_entropy, plain):
        loss, log_probabilities = function(
            tensors["readouts"],
            targets,
            weight=tensors["weight"],
            bias=tensors["bias"] if bias else None,
            token_weights=token_weights,
            label_smoothing=smoothing,
        )
        results.append((loss.detach(), log_probabilities.detach(), *torch.autograd.grad(3 * loss, used)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10 if dtype == torch.float64 else 1e-5, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_tokens_have_no_loss_and_teach_nothing(smoothing: float) -> None:
    tensors = operands(7, torch.float32)
    none = tensors["readouts"][:0].detach().requires_grad_()
    weight, bias = tensors["weight"], tensors["bias"]
    for _ in range(20):  # what is not written holds whatever was there before
        torch.full_like(weight, float("nan"))
        loss, _ = linear_cross_entropy(
            none,
            torch.empty(0, dtype=torch.long),
            weight=weight,
            bias=bias,
            token_weights=torch.empty(0),
            label_smoothing=smoothing,
        )
        assert float(loss.detach()) == 0
        for gradient in torch.autograd.grad(loss, [none, weight, bias]):
            assert not gradient.any()


def test_improbable_words_have_finite_log_probabilities():
    weight = torch.tensor([[400.0], [0.0], [-400.0]], requires_grad=True)
    readouts, targets = torch.ones(3, 1), torch.tensor([0, 1, 2])
    loss, log_probabilities = linear_cross_entropy(
        readouts, targets, weight=weight, bias=None, token_weights=torch.full((3,), 1 / 3)
    )
    assert log_probabilities.tolist() == [0.0, -400.0, -800.0]
    assert float(loss.detach()) == pytest.approx(400)
    loss.backward()
    torch.testing.assert_close(weight.grad, torch.tensor([[2 / 3], [-1 / 3], [-1 / 3]]))


def test_under_autocast_the_loss_is_float32_and_close():
    tensors = operands(50, torch.float32)
    targets, token_weights = torch.arange(TOKENS), torch.full((TOKENS,), 1 / TOKENS)
    exact, _ = linear_cross_entropy(**tensors, targets=targets, token_weights=token_weights)
    expected = torch.autograd.grad(exact, list(tensors.values()))
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _ = linear_cross_entropy(**tensors, targets=targets, token_weights=token_weights)
    found = torch.autograd.grad(rounded, list(tensors.values()))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, atol=0, rtol=0.01)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_without_gradients_none_are_computed():
    tensors = operands(7, torch.float32)
    with torch.no_grad():
        loss, _ = linear_cross_entropy(
            **tensors, targets=torch.zeros(TOKENS, dtype=torch.long), token_weights=torch.ones(TOKENS)
        )
    assert not loss.requires_grad
