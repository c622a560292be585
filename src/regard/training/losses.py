"""Losses of training.

Cross-entropy with label smoothing on real tokens only; of soft attention the doubly stochastic penalty, its entropy and
attention correctness; the REINFORCE term of hard attention; the policy gradient of self-critical training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from regard import fast
from regard.annotations import Concepts
from regard.decoders.base import Decoder, Trace
from regard.ops.cross_entropy import linear_cross_entropy

_SMALLEST = 1e-6
"""Keeps logarithms of weights finite."""


def real_tokens(lengths: Tensor, time: int) -> Tensor:
    """Which of the tokens are real: lengths [batch, rows] to bool [batch, rows, time]."""
    return torch.arange(time, device=lengths.device) < lengths.unsqueeze(-1)


def cross_entropy(
    decoder: Decoder, trace: Trace, targets: Tensor, real: Tensor, *, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over real tokens; the vocabulary product is taken for those alone.

    Args:
        decoder: turns readouts into logits.
        trace: of a teacher-forced pass.
        targets: int64 [batch, rows, time].
        real: bool [batch, rows, time].
        label_smoothing: share of the target spread evenly over the vocabulary (Szegedy et al. 2016, §7).

    Returns:
        The loss, and log p of each real token [tokens] without smoothing, detached.
    """
    readouts, chosen = trace.readouts[real], targets[real]
    token_weights = readouts.new_full((len(chosen),), 1 / max(1, len(chosen)), dtype=torch.float32)
    return _vocabulary_loss(decoder, readouts, chosen, token_weights, label_smoothing=label_smoothing)


def r_drop_loss(
    decoder: Decoder, readouts: tuple[Tensor, Tensor], targets: Tensor, *, alpha: float, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of two passes with different dropout that are drawn to each other (Liang et al. 2021, eq. 4).

        L = ½ (CE_1 + CE_2) + α/4 (KL(p_1 ‖ p_2) + KL(p_2 ‖ p_1)),   mean over tokens

    It is half of the paper's, so that it is of the size of one cross-entropy.

    Args:
        decoder: turns readouts into logits.
        readouts: of the real tokens in each of the passes, [tokens, readout_dim].
        targets: int64 [tokens].
        alpha: α.
        label_smoothing: share of the target spread evenly over the vocabulary.

    Returns:
        The loss, and its part without the divergence, detached.
    """
    log_p, log_q = (torch.log_softmax(decoder.logits(each).float(), dim=-1) for each in readouts)
    both = (log_p + log_q) / 2
    given = -both.gather(-1, targets.unsqueeze(-1)).mean()
    entropy = (1 - label_smoothing) * given - label_smoothing * both.mean()
    divergence = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1).mean()
    return entropy + alpha / 4 * divergence, entropy.detach()


def doubly_stochastic(weights: Tensor, real: Tensor) -> Tensor:
    """Σ_i (1 − Σ_t α_ti)², mean over captions (Xu 2015, eq. 14): every region should get its share over time.

    Args:
        weights: α, [batch, rows, time, position].
        real: bool [batch, rows, time]; weights after a caption's end do not count.
    """
    received = (weights * real.unsqueeze(-1)).sum(dim=2)
    captions = real.any(dim=-1)
    return ((1 - received) ** 2).sum(dim=-1)[captions].mean()


def attention_entropy(weights: Tensor, real: Tensor) -> Tensor:
    """− Σ_i α_ti log α_ti, mean over real tokens: how widely attention is spread.

    Args:
        weights: α, [batch, rows, time, position].
        real: bool [batch, rows, time].
    """
    own = weights[real]
    entropy: Tensor = -torch.special.xlogy(own, own).sum(dim=-1).mean()
    return entropy


def attention_correctness(
    weights: Tensor, targets: Tensor, real: Tensor, concepts: Concepts, concept_tokens: Tensor
) -> Tensor:
    """Cross-entropy between the class activation map of what a word names and the weights of that word (attention
    correctness, Liu et al. 2017, "Attention correctness in neural image captioning", §3.2, weak supervision).

        − Σ_t Σ_i μ_j(i) log α'_ti,   α'_ti = α_ti + Σ_l α_{t,N+l} μ_l(i),   over the tokens y_t that are a concept j

    α' are the weights on the photo that a caption shows, see :mod:`regard.encoders.concepts`. The paper takes maps from
    boxes or from the similarity of words; here they are those of the encoder's own classifier, for words that it finds
    among its concepts of the photo.

    Args:
        weights: α, [batch, rows, time, N + k].
        targets: int64 [batch, rows, time].
        real: bool [batch, rows, time].
        concepts: k of each input, with their maps μ.
        concept_tokens: int64 [words], the token of each concept word, -1 where it has none.

    Returns:
        The mean over captions; 0 where no token is a concept.
    """
    maps = concepts.maps.unsqueeze(1).to(weights)
    named = (targets.unsqueeze(-1) == concept_tokens[concepts.words][:, None, None]) & real.unsqueeze(-1)
    shown = weights[..., : maps.shape[-1]] + weights[..., maps.shape[-1] :] @ maps
    # concepts that share a token, because the vocabulary lacks their own words, share the map
    wanted = named.to(weights) / named.sum(dim=-1, keepdim=True).clamp_min(1)
    losses = -((wanted @ maps) * shown.clamp_min(_SMALLEST).log()).sum(dim=-1)
    return losses.sum() / real.any(dim=-1).sum().clamp_min(1)


def caption_log_probabilities(log_probabilities: Tensor, real: Tensor) -> Tensor:
    """log p(y | s, a) of each caption, [captions], from that of its real tokens, [tokens]."""
    spread = log_probabilities.new_zeros(real.shape).masked_scatter(real, log_probabilities)
    return spread.sum(dim=-1)[real.any(dim=-1)]


def move_baseline(baseline: float | None, mean: float) -> float:
    """b ← 0.9 b + 0.1 log p(y | s, a), the baseline of hard attention (Xu 2015, §4.1); the first is the first mean."""
    return mean if baseline is None else 0.9 * baseline + 0.1 * mean


def hard_attention_loss(trace: Trace, advantage: Tensor, real: Tensor, *, entropy: float) -> Tensor:
    """The part of Xu 2015, eq. 12, that trains the choice of regions; cross-entropy trains the rest.

        − [ (log p(y | s, a) − b) Σ_t log α_t,s_t  +  λ_e Σ_t H(α_t) ]

    Args:
        trace: with the log-probabilities of the sampled regions.
        advantage: log p(y | s, a) − b of each caption, [captions], without gradient.
        real: bool [batch, rows, time].
        entropy: λ_e.

    Returns:
        The mean over real tokens, to be added to :func:`cross_entropy`.
    """
    assert trace.log_choices is not None, "hard attention in training mode returns its choices"
    chosen = (trace.log_choices * real).sum(dim=-1)[real.any(dim=-1)]
    spent = -(torch.special.xlogy(trace.weights, trace.weights)).sum(dim=-1)
    loss: Tensor = -((advantage * chosen).sum() + entropy * (spent * real).sum()) / real.sum()
    return loss


def policy_gradient(
    decoder: Decoder, trace: Trace, tokens: Tensor, real: Tensor, advantages: Tensor, *, forbidden: Sequence[int]
) -> Tensor:
    """− advantage · log p of sampled captions, mean over their tokens (Rennie et al. 2017, eq. 8).

    p is the distribution that was sampled from, without the tokens that are never said. Otherwise the probability that
    bad captions lose would flow to those tokens, which nothing ever punishes.

    Args:
        decoder, trace: of a pass over the sampled captions.
        tokens: int64 [batch, rows, time], what was said.
        real: bool [batch, rows, time].
        advantages: [batch, rows], reward less baseline.
        forbidden: ids that sampling never says.
    """
    logits = decoder.logits(trace.readouts[real]).float()
    never = torch.tensor(list(forbidden), dtype=torch.long, device=logits.device)
    logits = logits.index_fill(-1, never, float("-inf"))
    losses = F.cross_entropy(logits, tokens[real], reduction="none")
    return (losses * advantages.unsqueeze(-1).expand_as(real)[real]).mean()


def _vocabulary_loss(
    decoder: Decoder, readouts: Tensor, chosen: Tensor, token_weights: Tensor, *, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Σ_t w_t times the cross-entropy of each token, and log p of each, without gradient."""
    layer = fast.vocabulary_layer(decoder)
    if layer is not None:
        weight, bias = layer
        return linear_cross_entropy(
            readouts, chosen, weight=weight, bias=bias, token_weights=token_weights, label_smoothing=label_smoothing
        )
    logits = decoder.logits(readouts).float()
    losses = F.cross_entropy(logits, chosen, label_smoothing=label_smoothing, reduction="none")
    with torch.no_grad():
        log_probabilities = logits.gather(-1, chosen.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(dim=-1)
    return losses @ token_weights, log_probabilities
