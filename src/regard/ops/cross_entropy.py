"""Cross-entropy of a vocabulary product, without the logits of all tokens in memory.

    logits_t = W x_t + b        L = Σ_t w_t ( −(1 − ε) log p_t(y_t) − ε/V Σ_v log p_t(v) )

The plain form writes logits, their softmax and the gradients of both, each tokens × vocabulary. Here a block of
tokens is taken from the product to its part in the gradients, which are therefore computed in the forward pass: the
gradient of the logits is w_t (p_t − (1 − ε) 1_y − ε/V), and what is constant over the vocabulary is left to the
matrices behind it. Under autocast products are taken in its precision, the rest in float32.

Source of label smoothing: Szegedy et al. 2016, §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from regard.ops.autocast import ScanDtypes, scan_dtypes
from regard.ops.cpu.compiled import current_ops
from regard.ops.linear import multiply

if TYPE_CHECKING:
    from jaxtyping import Float, Int

TOKENS_AT_ONCE = 512
WIDTH = 16
"""A product of a multiple of so many numbers is up to half as fast again as one of some more."""


def linear_cross_entropy(
    readouts: Float[Tensor, "tokens dim"],
    targets: Int[Tensor, " tokens"],
    *,
    weight: Float[Tensor, "vocabulary dim"],
    bias: Tensor | None,
    token_weights: Float[Tensor, " tokens"],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, " tokens"]]:
    """The loss, and log p of each target, without gradient.

    Args:
        readouts: [tokens, dim].
        targets: int64 [tokens].
        weight, bias: W [vocabulary, dim] and b [vocabulary].
        token_weights: [tokens], without gradient: how much each token counts.
        label_smoothing: ε.
    """
    operands = (readouts, weight, bias)
    differentiate = torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in operands)
    dtypes = scan_dtypes(weight)
    call = _Call(targets, token_weights.to(dtypes.sums), label_smoothing, dtypes, differentiate)
    loss, log_probabilities = _LinearCrossEntropy.apply(call, *operands)  # type: ignore[no-untyped-call]
    return loss, log_probabilities


class _Call(NamedTuple):
    targets: Tensor
    token_weights: Tensor
    smoothing: float
    dtypes: ScanDtypes
    differentiate: bool


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, readouts: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.autocast(readouts.device.type, enabled=False):
            blocks = _Blocks(call, readouts, weight, bias)
            blocks.run()
        if call.differentiate:
            ctx.save_for_backward(blocks.grad_readouts, *blocks.layer_gradients())
        ctx.mark_non_differentiable(blocks.log_probabilities)
        ctx.set_materialize_grads(False)
        ctx.has_bias = bias is not None
        return blocks.loss, blocks.log_probabilities

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if gradients[0] is None:
            return None, None, None, None
        grad_readouts, grad_weight, grad_bias = (tensor * gradients[0] for tensor in ctx.saved_tensors)
        return None, grad_readouts, grad_weight, grad_bias if ctx.has_bias else None


class _Blocks:
    """The sums over blocks of tokens: the loss and the gradients of all that it depends on."""

    def __init__(self, call: _Call, readouts: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        products, sums = call.dtypes
        self.call = call
        self.vocabulary = len(weight)
        fit = products in (sums, torch.bfloat16)
        self.compiled = current_ops(weight.device, sums) if fit else None
        self.readouts = readouts.to(products)
        missing = -self.vocabulary % WIDTH
        self.weight = (torch.nn.functional.pad(weight, (0, 0, 0, missing)) if missing else weight).to(products)
        self.bias = weight.new_full((len(self.weight),), float("-inf"), dtype=sums)
        self.bias[: self.vocabulary] = 0 if bias is None else bias
        self.target_mass = self.bias.new_full((1,), 1 - call.smoothing)
        self.smoothing = call.smoothing / self.vocabulary
        self.smoothed = self.weight.to(sums).sum(dim=0) * self.smoothing
        self.smoothed_bias = self.bias[: self.vocabulary].sum() * self.smoothing
        self.loss = weight.new_zeros((), dtype=sums)
        self.log_probabilities = weight.new_empty(len(readouts), dtype=sums)
        self.grad_readouts = weight.new_empty(readouts.shape if call.differentiate else 0, dtype=sums)
        # the first block is written, not added; without tokens there is none
        empty = weight.new_empty if len(readouts) else weight.new_zeros
        self.grad_weight = empty(self.weight.shape if call.differentiate else 0, dtype=sums)
        self.grad_bias = weight.new_zeros(len(self.weight), dtype=sums)

    def run(self) -> None:
        """Go through all tokens."""
        for first in range(0, len(self.readouts), TOKENS_AT_ONCE):
            tokens = slice(first, first + TOKENS_AT_ONCE)
            logits = multiply(self.readouts[tokens], self.weight)
            grad_logits, normaliser = (
                self._gradients(tokens, logits) if self.compiled is None else self._compiled(tokens, logits)
            )
            losses = (self.call.smoothing - 1) * self.log_probabilities[tokens]
            if self.smoothing:
                all_logits = self.readouts[tokens].to(self.smoothed.dtype) @ self.smoothed + self.smoothed_bias
                losses += self.call.smoothing * normaliser - all_logits
            self.loss += self.call.token_weights[tokens] @ losses
            if self.call.differentiate:
                self._differentiate(tokens, grad_logits)

    def layer_gradients(self) -> tuple[Tensor, Tensor]:
        """Those of the matrix and of the bias, the even token_weight of smoothing target_mass away."""
        token_weights = self.call.token_weights
        even = self.smoothing * (token_weights @ self.readouts.to(token_weights.dtype))
        grad_weight, grad_bias = self.grad_weight[: self.vocabulary], self.grad_bias[: self.vocabulary]
        return grad_weight.sub_(even), grad_bias.sub_(self.smoothing * token_weights.sum())

    def _gradients(self, tokens: slice, logits: Tensor) -> tuple[Tensor, Tensor]:
        """p − (1 − ε) 1_y [tokens, vocabulary, padded] for products, and log Σ exp of the logits; log p on the way."""
        logits = logits.to(self.call.dtypes.sums).add_(self.bias)
        targets, token_weight = self.call.targets[tokens].unsqueeze(1), self.call.token_weights[tokens]
        probabilities = torch.softmax(logits, dim=-1)
        # log Σ exp from the largest logit and its probability, which is at least 1/V
        normaliser = logits.amax(dim=-1) - probabilities.amax(dim=-1).log()
        self.log_probabilities[tokens] = logits.gather(1, targets).squeeze(1) - normaliser
        if self.call.differentiate:
            probabilities.scatter_add_(1, targets, self.target_mass.neg().expand_as(targets))
            self.grad_bias.addmv_(probabilities.t(), token_weight)
        return probabilities.to(self.call.dtypes.products), normaliser

    def _compiled(self, tokens: slice, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The same in one compiled operation, written over the logits."""
        assert self.compiled is not None, "compiled"
        suffix = "" if logits.dtype == self.call.dtypes.sums else "_bfloat16"
        chosen = self.log_probabilities[tokens]
        normaliser = torch.empty_like(chosen)
        targets, token_weights = self.call.targets[tokens].contiguous(), self.call.token_weights[tokens].contiguous()
        operands = (logits, self.bias, targets, token_weights, self.target_mass, chosen, normaliser, self.grad_bias)
        self.compiled.run(f"softmax_gradients{suffix}", *operands, *logits.shape)
        return logits, normaliser

    def _differentiate(self, tokens: slice, grad_logits: Tensor) -> None:
        """Add the gradients of some tokens."""
        products, sums = self.call.dtypes
        token_weight = self.call.token_weights[tokens].unsqueeze(1)
        self.grad_readouts[tokens] = (multiply(grad_logits, self.weight.t()).to(sums) - self.smoothed).mul_(
            token_weight
        )
        weighted = (self.readouts[tokens] * token_weight).to(products)
        if tokens.start == 0 and products == sums:
            torch.mm(grad_logits.t(), weighted, out=self.grad_weight)
        elif tokens.start == 0:
            self.grad_weight.copy_(torch.mm(grad_logits.t(), weighted))
        elif products == sums:
            self.grad_weight.addmm_(grad_logits.t(), weighted)
        else:
            self.grad_weight += torch.mm(grad_logits.t(), weighted)
