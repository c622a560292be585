"""What training makes small, against written-out loops; and REINFORCE against the exact gradient."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations, Concepts
from regard.attention import Attended, HardAttention, Memory
from regard.decoders import Trace
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.fast import for_training
from regard.training.losses import (
    attention_correctness,
    attention_entropy,
    caption_log_probabilities,
    cross_entropy,
    doubly_stochastic,
    hard_attention_loss,
    move_baseline,
    policy_gradient,
    r_drop_loss,
    real_tokens,
)

BATCH, ROWS, TIME, POSITIONS, VOCABULARY = 3, 2, 5, 4, 7
LENGTHS = torch.tensor([[5, 3], [4, 1], [2, 0]])


def decoder(*, kind: str = "soft") -> AttendDecoder:
    settings = AttendSettings(embedding=5, hidden=4, attention=3, dropout=0.0, kind=kind)  # type: ignore[arg-type]
    torch.manual_seed(1)
    made = AttendDecoder(settings, dim=6, vocabulary_size=VOCABULARY).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.7)
    return made


def targets() -> Tensor:
    return torch.randint(2, VOCABULARY, (BATCH, ROWS, TIME), generator=torch.Generator().manual_seed(3))


def trace() -> Trace:
    generator = torch.Generator().manual_seed(4)
    weights = torch.rand(BATCH, ROWS, TIME, POSITIONS, generator=generator, dtype=torch.float64)
    return Trace(
        readouts=torch.randn(BATCH, ROWS, TIME, 5, generator=generator, dtype=torch.float64),
        weights=weights / weights.sum(dim=-1, keepdim=True),
        log_choices=-torch.rand(BATCH, ROWS, TIME, generator=generator, dtype=torch.float64),
    )


def places() -> list[tuple[int, int, int]]:
    """Batch, row and time of every real token."""
    return [(b, r, t) for b in range(BATCH) for r in range(ROWS) for t in range(int(LENGTHS[b, r]))]


def captions() -> list[tuple[int, int]]:
    return [(b, r) for b in range(BATCH) for r in range(ROWS) if LENGTHS[b, r]]


def log_p(made: AttendDecoder, seen: Trace, place: tuple[int, int, int]) -> list[float]:
    logits = made.logits(seen.readouts[place].unsqueeze(0))[0].tolist()
    total = math.log(sum(math.exp(each) for each in logits))
    return [each - total for each in logits]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_mean_over_real_tokens(smoothing: float) -> None:
    made, seen, wanted = decoder(), trace(), targets()
    loss, log_probabilities = cross_entropy(made, seen, wanted, real_tokens(LENGTHS, TIME), label_smoothing=smoothing)
    losses, chosen = [], []
    for place in places():
        each = log_p(made, seen, place)
        chosen.append(each[int(wanted[place])])
        losses.append(-(1 - smoothing) * chosen[-1] - smoothing * sum(each) / VOCABULARY)
    assert float(loss.detach()) == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert log_probabilities.tolist() == pytest.approx(chosen, rel=1e-5)
    assert not log_probabilities.requires_grad


def test_the_doubly_stochastic_penalty_is_its_loop() -> None:
    seen = trace()
    total = 0.0
    for b, r in captions():
        for i in range(POSITIONS):
            paid = sum(float(seen.weights[b, r, t, i]) for t in range(int(LENGTHS[b, r])))
            total += (1 - paid) ** 2
    loss = doubly_stochastic(seen.weights, real_tokens(LENGTHS, TIME))
    assert float(loss) == pytest.approx(total / len(captions()), rel=1e-12)


def test_the_entropy_of_attention_is_its_loop() -> None:
    seen = trace()
    entropies = [-sum(float(a) * math.log(a) for a in seen.weights[place].tolist()) for place in places()]
    loss = attention_entropy(seen.weights, real_tokens(LENGTHS, TIME))
    assert float(loss) == pytest.approx(sum(entropies) / len(entropies), rel=1e-12)


CONCEPTS, REGIONS = 2, 2
CONCEPT_TOKENS = torch.tensor([-1, 4, 5, 4, 6])
"""The tokens of five concept words: the first is in no vocabulary, two share a token."""


def concepts() -> Concepts:
    maps = torch.rand(BATCH, CONCEPTS, REGIONS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    words = torch.tensor([[1, 3], [2, 0], [4, 1]])
    return Concepts(words, torch.full((BATCH, CONCEPTS), 0.5), maps / maps.sum(dim=-1, keepdim=True))


def test_attention_correctness_is_its_loop_over_words_that_name_a_concept() -> None:
    seen, wanted, known = trace(), targets(), concepts()
    losses = []
    for b, r, t in places():
        weights, maps = seen.weights[b, r, t].tolist(), known.maps[b].tolist()
        own = [j for j in range(CONCEPTS) if CONCEPT_TOKENS[known.words[b, j]] == wanted[b, r, t]]
        if not own:
            continue
        loss = 0.0
        for i in range(REGIONS):
            shown = weights[i] + sum(weights[REGIONS + j] * maps[j][i] for j in range(CONCEPTS))
            loss -= sum(maps[j][i] for j in own) / len(own) * math.log(shown)
        losses.append(loss)
    assert len(losses) >= 2
    found = attention_correctness(seen.weights, wanted, real_tokens(LENGTHS, TIME), known, CONCEPT_TOKENS)
    assert float(found) == pytest.approx(sum(losses) / len(captions()), rel=1e-12)


def test_attention_correctness_draws_weights_to_the_map_of_a_concept_and_leaves_other_words_alone() -> None:
    scores = torch.zeros(1, 1, 2, REGIONS + 1, dtype=torch.float64, requires_grad=True)
    known = Concepts(torch.tensor([[1]]), torch.ones(1, 1), torch.tensor([[[0.9, 0.1]]], dtype=torch.float64))
    words, real = torch.tensor([[[4, 5]]]), torch.ones(1, 1, 2, dtype=torch.bool)

    def loss(given: Tensor) -> Tensor:
        return attention_correctness(given.softmax(dim=-1), words, real, known, CONCEPT_TOKENS)

    (gradient,) = torch.autograd.grad(loss(scores), scores)
    assert gradient[0, 0, 0, 0] < 0 < gradient[0, 0, 0, 1]
    assert not gradient[0, 0, 1].any()
    assert torch.autograd.gradcheck(loss, scores)


def test_attention_correctness_is_nothing_where_no_word_names_a_concept() -> None:
    seen = trace()
    weights = seen.weights.requires_grad_()
    nothing = torch.full_like(CONCEPT_TOKENS, -1)
    loss = attention_correctness(weights, targets(), real_tokens(LENGTHS, TIME), concepts(), nothing)
    (gradient,) = torch.autograd.grad(loss, weights)
    assert float(loss.detach()) == 0
    assert not gradient.any()


def test_the_policy_gradient_weighs_every_token_by_its_captions_advantage() -> None:
    made, seen, said = decoder(), trace(), targets()
    advantages = torch.tensor([[0.5, -1.0], [2.0, 0.25], [-0.75, 9.0]], dtype=torch.float64)
    loss = policy_gradient(made, seen, said, real_tokens(LENGTHS, TIME), advantages, forbidden=())
    losses = [-float(advantages[place[:2]]) * log_p(made, seen, place)[int(said[place])] for place in places()]
    assert float(loss.detach()) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_the_policy_gradient_gives_nothing_to_what_is_never_said() -> None:
    made, seen, said = decoder(), trace(), targets()
    readouts = seen.readouts.detach().requires_grad_()
    advantages = torch.full((3, 2), -1.0, dtype=torch.float64)
    spoken = sorted(set(said[real_tokens(LENGTHS, TIME)].tolist()))
    never = next(token for token in range(made.vocabulary_size) if token not in spoken)
    real = real_tokens(LENGTHS, TIME)
    loss = policy_gradient(made, replace(seen, readouts=readouts), said, real, advantages, forbidden=[never])
    bias = next(parameter for name, parameter in made.named_parameters() if name.endswith("L_o.bias"))
    (gradient,) = torch.autograd.grad(loss, bias)
    assert float(gradient[never]) == 0
    assert all(float(gradient[token]) != 0 for token in spoken)


def test_the_term_of_hard_attention_is_its_loop() -> None:
    seen = trace()
    real = real_tokens(LENGTHS, TIME)
    log_probabilities = -torch.rand(len(places()), dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    of_place = dict(zip(places(), log_probabilities.tolist(), strict=True))
    advantage = caption_log_probabilities(log_probabilities, real) + 1.5
    loss = hard_attention_loss(seen, advantage, real, entropy=0.3)
    assert seen.log_choices is not None
    total, sums = 0.0, []
    for b, r in captions():
        times = range(int(LENGTHS[b, r]))
        sums.append(sum(of_place[b, r, t] for t in times))
        total += (sums[-1] + 1.5) * sum(float(seen.log_choices[b, r, t]) for t in times)
        total += 0.3 * sum(-float(a) * math.log(a) for t in times for a in seen.weights[b, r, t])
    assert float(loss) == pytest.approx(-total / len(places()), rel=1e-5)
    assert (advantage - 1.5).tolist() == pytest.approx(sums, rel=1e-5)


def test_the_first_baseline_is_the_first_mean_and_then_it_moves_slowly() -> None:
    assert move_baseline(None, -2.0) == -2.0
    assert move_baseline(-2.0, -3.0) == pytest.approx(-2.1)


def test_what_stands_on_padding_changes_no_loss() -> None:
    made, seen, wanted = decoder(), trace(), targets()
    real = real_tokens(LENGTHS, TIME)
    other = Trace(
        readouts=torch.where(real.unsqueeze(-1), seen.readouts, 99.0),
        weights=torch.where(real.unsqueeze(-1), seen.weights, 0.5),
        log_choices=torch.where(real, seen.log_choices, -7.0) if seen.log_choices is not None else None,
    )
    advantage = torch.ones(len(captions()), dtype=torch.float64)
    for ours, theirs in (
        [cross_entropy(made, each, wanted, real, label_smoothing=0.1)[0] for each in (seen, other)],
        [doubly_stochastic(each.weights, real) for each in (seen, other)],
        [hard_attention_loss(each, advantage, real, entropy=0.1) for each in (seen, other)],
    ):
        assert torch.equal(ours, theirs)


class Scripted(HardAttention):
    """Hard attention that takes the outcomes it is told: a region, or None for the expectation."""

    outcomes: list[int | None]
    probability: Tensor

    def forward(self, query: Tensor, memory: Memory, steps: Tensor | None = None) -> Attended:
        weights = self.weights(query, memory, steps)
        outcome = self.outcomes.pop(0)
        if outcome is None:
            self.probability = self.probability * 0.5
            return Attended(weights @ memory.values, weights, torch.zeros_like(weights[..., 0]))
        self.probability = self.probability * 0.5 * weights[0, 0, outcome]
        return Attended(memory.values[:, [outcome]], weights, weights[..., outcome].log())


TOKENS, SAID = torch.tensor([1, 4, 5]), torch.tensor([4, 5, 2])
TINY = Annotations(torch.randn(1, POSITIONS, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(8)))


def exact_gradient(made: AttendDecoder) -> Tensor:
    """Of Σ P(outcomes) log p(y | outcomes) over all sequences of outcomes, each a region or the expectation."""
    attention = made.attention
    attention.__class__ = Scripted
    assert isinstance(attention, Scripted)
    total = torch.zeros((), dtype=torch.float64)
    for outcomes in itertools.product([None, *range(POSITIONS)], repeat=len(TOKENS)):
        attention.outcomes, attention.probability = list(outcomes), torch.ones((), dtype=torch.float64)
        logits, _ = made(TINY, TOKENS.view(1, 1, -1))
        log_probability = torch.log_softmax(logits[0, 0], dim=-1).gather(1, SAID.unsqueeze(1)).sum()
        total = total + attention.probability * log_probability
    attention.__class__ = HardAttention
    return flat_gradient(made, total)


def flat_gradient(made: AttendDecoder, loss: Tensor) -> Tensor:
    parameters = list(made.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def test_reinforce_estimates_the_exact_gradient() -> None:
    made = decoder(kind="hard").train()
    exact = exact_gradient(made)
    torch.manual_seed(11)
    rows, chunks = 1500, 40
    real = torch.ones(1, rows, len(TOKENS), dtype=torch.bool)
    tokens, said = (each.expand(1, rows, -1) for each in (TOKENS, SAID))
    estimates = []
    for _ in range(chunks):
        seen = for_training(made).trace(TINY, tokens)
        loss, log_probabilities = cross_entropy(made, seen, said, real, label_smoothing=0.0)
        # any baseline that does not depend on the choices leaves the estimate without bias
        advantage = caption_log_probabilities(log_probabilities, real) + 5.0
        loss = loss + hard_attention_loss(seen, advantage, real, entropy=0.0)
        # losses are means over tokens, the exact one is of a whole caption
        estimates.append(flat_gradient(made, -loss * len(TOKENS)))
    estimate = torch.stack(estimates)
    error = estimate.std(dim=0) / math.sqrt(chunks)
    mean = estimate.mean(dim=0)
    assert bool(((mean - exact).abs() <= 5 * error + 1e-6).all())
    assert float(error.norm()) < 0.03 * float(exact.norm())
    assert float(torch.cosine_similarity(mean, exact, dim=0)) > 0.999


def test_without_the_reinforce_term_the_gradient_is_another() -> None:
    # so that the test above can fail
    made = decoder(kind="hard").train()
    exact = exact_gradient(made)
    torch.manual_seed(12)
    tokens, said = (each.expand(1, 20_000, -1) for each in (TOKENS, SAID))
    seen = for_training(made).trace(TINY, tokens)
    loss, _ = cross_entropy(made, seen, said, torch.ones_like(said, dtype=torch.bool), label_smoothing=0.0)
    biased = flat_gradient(made, -loss * len(TOKENS))
    assert float((biased - exact).norm()) > 0.1 * float(exact.norm())


def test_r_drop_is_the_mean_cross_entropy_and_the_divergence_both_ways() -> None:
    generator = torch.Generator().manual_seed(5)
    first, second = (torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    chosen = torch.randint(2, VOCABULARY, (6,), generator=generator)
    made = decoder()
    made.requires_grad_(False)
    loss, entropy = r_drop_loss(made, (first, second), chosen, alpha=3.0, label_smoothing=0.1)
    p, q = (torch.softmax(made.logits(each).float(), dim=-1).double() for each in (first, second))
    smooth = torch.full((6, VOCABULARY), 0.1 / VOCABULARY).double()
    smooth[torch.arange(6), chosen] += 0.9
    entropies = [-(smooth * each.log()).sum(dim=-1).mean() for each in (p, q)]
    divergences = [(a * (a.log() - b.log())).sum(dim=-1).mean() for a, b in ((p, q), (q, p))]
    assert float(entropy) == pytest.approx(float(sum(entropies)) / 2, rel=1e-5)
    assert float(loss) == pytest.approx(float(sum(entropies) / 2 + 3 / 4 * sum(divergences)), rel=1e-5)
