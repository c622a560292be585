from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attention, HardAttention, LocalAttention, Memory, MultiHead, masked_softmax
from regard.errors import ConfigError
from regard.fast.attention import multi_head_context
from regard.scores import SCORES, build_score
from regard.scores.additive import Additive, Concat
from regard.scores.general import General

BATCH, ROWS, POSITIONS, DIM, QUERY, INNER = 3, 2, 5, 7, 11, 13


def _sizes(score: str) -> tuple[int, int]:
    return (DIM, DIM) if score in ("dot", "scaled_dot") else (QUERY, DIM)


def _soft(score: str, *, query_dim: int | None = None, dtype: torch.dtype = torch.float64) -> Attention:
    sizes = _sizes(score)
    return Attention(query_dim or sizes[0], sizes[1], score=score, attention_dim=INNER).to(dtype)


def _mask(*lengths: int) -> Tensor:
    return torch.arange(POSITIONS) < torch.tensor(lengths).unsqueeze(1)


def _inputs(query_dim: int, *, mask: Tensor | None = None) -> tuple[Tensor, Annotations]:
    query = torch.randn(BATCH, ROWS, query_dim, dtype=torch.float64)
    return query, Annotations(torch.randn(BATCH, POSITIONS, DIM, dtype=torch.float64), mask)


def _written_out(score: nn.Module, q: Tensor, k: Tensor) -> float:
    """One score of one query and one annotation, number by number."""
    match score:
        case General():
            w = score.W.weight
            return sum(float(q[i] * w[i, j] * k[j]) for i in range(len(q)) for j in range(len(k)))
        case Additive():
            rows = zip(score.v, score.W.weight, score.U.weight, strict=True)
            return sum(float(v * torch.tanh(w.dot(q) + u.dot(k))) for v, w, u in rows)
        case Concat():
            joined = torch.cat([q, k])
            return sum(float(v * torch.tanh(w.dot(joined))) for v, w in zip(score.v, score.W.weight, strict=True))
    raise AssertionError(score)


@pytest.mark.parametrize("name", SCORES)
@torch.no_grad()
def test_each_score_equals_a_loop(name: str) -> None:
    torch.manual_seed(1)
    query_dim, _ = _sizes(name)
    score = _soft(name).score
    query, annotations = _inputs(query_dim)
    scores = score(query, score.keys(annotations.values))
    assert scores.shape == (BATCH, ROWS, POSITIONS)
    for b in range(BATCH):
        for r in range(ROWS):
            for i in range(POSITIONS):
                q, k = query[b, r], annotations.values[b, i]
                if name in ("dot", "scaled_dot"):
                    expected = sum(float(x * y) for x, y in zip(q, k, strict=True))
                    expected /= math.sqrt(DIM) if name == "scaled_dot" else 1
                else:
                    expected = _written_out(score, q, k)
                assert float(scores[b, r, i]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", SCORES)
def test_the_context_is_the_weighted_sum(name: str) -> None:
    attention = _soft(name)
    query, annotations = _inputs(_sizes(name)[0], mask=_mask(5, 1, 3))
    look = attention(query, attention.remember(annotations))
    expected = torch.einsum("brn,bnd->brd", look.weights, annotations.values)
    torch.testing.assert_close(look.context, expected)
    assert look.log_choice is None


@pytest.mark.parametrize("name", SCORES)
def test_keys_have_the_stated_size(name: str) -> None:
    score = build_score(name, *_sizes(name), attention_dim=INNER)
    assert score.keys(torch.randn(2, 3, DIM)).shape == (2, 3, score.key_dim)


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(list(SCORES)),
    lengths=st.lists(st.integers(1, POSITIONS), min_size=BATCH, max_size=BATCH),
    spread=st.sampled_from([0.01, 1.0, 30.0]),
    seed=st.integers(0, 999),
)
def test_weights_are_a_distribution_over_real_positions(
    name: str, lengths: list[int], spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    attention, mask = _soft(name), _mask(*lengths)
    query, annotations = _inputs(_sizes(name)[0], mask=mask)
    weights = attention.weights(query * spread, attention.remember(annotations))
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, ROWS, dtype=torch.float64))
    assert (weights >= 0).all()
    assert (weights.transpose(1, 2)[~mask] == 0).all()


@settings(deadline=None, max_examples=30)
@given(name=st.sampled_from(list(SCORES)), order=st.permutations(range(POSITIONS)), seed=st.integers(0, 999))
def test_weights_follow_a_permutation_of_positions(name: str, order: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    attention = _soft(name)
    query, annotations = _inputs(_sizes(name)[0], mask=_mask(4, 2, 5))
    assert annotations.mask is not None
    permuted = Annotations(annotations.values[:, order], annotations.mask[:, order])
    before = attention(query, attention.remember(annotations))
    after = attention(query, attention.remember(permuted))
    torch.testing.assert_close(after.weights, before.weights[..., order])
    torch.testing.assert_close(after.context, before.context)


class _Look(nn.Module):
    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, query: Tensor, annotations: Annotations) -> tuple[Tensor, Tensor]:
        look = self.attention(query, self.attention.remember(annotations), torch.arange(query.shape[1]))
        return look.context, look.weights


def _assert_gradients_equal_finite_differences(attention: Attention, query_dim: int) -> None:
    look, mask = _Look(attention), _mask(5, 2, 3)
    query, annotations = _inputs(query_dim)
    names = [name for name, _ in look.named_parameters()]

    def run(query: Tensor, values: Tensor, *weights: Tensor) -> object:
        state = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(look, state, (query, Annotations(values, mask)))

    inputs = [query, annotations.values, *look.parameters()]
    assert torch.autograd.gradcheck(run, [each.detach().requires_grad_() for each in inputs])


@pytest.mark.parametrize("name", SCORES)
def test_gradients_equal_finite_differences(name: str) -> None:
    _assert_gradients_equal_finite_differences(_soft(name), _sizes(name)[0])


@pytest.mark.parametrize("name", ["dot", "scaled_dot"])
def test_a_dot_of_unequal_sizes_is_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"score '{name}' compares a query of 11 numbers with annotations of 7.*general"
    ):
        Attention(QUERY, DIM, score=name)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_scores_give_finite_weights_and_gradients(size: float) -> None:
    scores = torch.tensor([[[size, -size, 0.0, size]]], requires_grad=True)
    weights = masked_softmax(scores, torch.tensor([[True, True, True, False]]))
    assert weights.tolist() == [[[1.0, 0.0, 0.0, 0.0]]]
    (weights * torch.arange(4.0)).sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_one_real_position_gets_all_the_weight() -> None:
    weights = masked_softmax(torch.randn(1, 4, 3), torch.tensor([[True, False, False]]))
    assert weights.tolist() == [[[1.0, 0.0, 0.0]] * 4]


def test_a_mask_may_differ_between_rows() -> None:
    mask = torch.tensor([[[True, False, False], [True, True, False]]])
    weights = masked_softmax(torch.zeros(1, 2, 3), mask)
    assert weights.tolist() == [[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]]


class TestHard:
    def test_evaluation_takes_the_most_probable_region(self) -> None:
        attention = HardAttention(QUERY, DIM, attention_dim=INNER).double().eval()
        query, annotations = _inputs(QUERY, mask=_mask(5, 2, 4))
        look = attention(query, attention.remember(annotations))
        for b in range(BATCH):
            for r in range(ROWS):
                torch.testing.assert_close(look.context[b, r], annotations.values[b, look.weights[b, r].argmax()])
        assert look.log_choice is None

    def test_regions_are_sampled_by_their_weights_in_half_of_the_looks(self) -> None:
        torch.manual_seed(3)
        attention = HardAttention(QUERY, POSITIONS, attention_dim=INNER).train()
        # values are unit vectors, so the context names the region; 20,000 rows put 5 deviations at about 0.02
        values, query = torch.eye(POSITIONS).unsqueeze(0), torch.randn(1, 1, QUERY).expand(1, 20_000, -1)
        memory = attention.remember(Annotations(values, torch.tensor([[True] * 4 + [False]])))
        look = attention(query, memory)
        assert look.log_choice is not None
        sampled = look.log_choice[0] != 0
        assert float(sampled.float().mean()) == pytest.approx(0.5, abs=0.02)
        alpha = look.weights[0, 0]
        torch.testing.assert_close(look.context[0, sampled].mean(0), alpha, atol=0.025, rtol=0)
        assert set(look.context[0, sampled].unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(look.context[0, ~sampled], alpha.expand(int((~sampled).sum()), -1))

    def test_the_log_probability_is_that_of_the_chosen_region(self) -> None:
        attention = HardAttention(QUERY, POSITIONS, attention_dim=INNER).train()
        memory = attention.remember(Annotations(torch.eye(POSITIONS).unsqueeze(0)))
        look = attention(torch.randn(1, 50, QUERY), memory)
        assert look.log_choice is not None
        sampled = look.log_choice != 0
        chosen = look.weights.gather(-1, look.context.argmax(-1, keepdim=True)).squeeze(-1)
        torch.testing.assert_close(look.log_choice[sampled], chosen.log()[sampled])


class TestLocal:
    def _local(self, *, predictive: bool, window: int = 1, normalise: bool = True) -> LocalAttention:
        torch.manual_seed(2)
        return LocalAttention(
            QUERY, DIM, window=window, predictive=predictive, normalise=normalise, score="general"
        ).double()

    @torch.no_grad()
    def test_monotonic_equals_the_written_out_window(self) -> None:
        attention, lengths = self._local(predictive=False), (5, 2, 4)
        query, annotations = _inputs(QUERY, mask=_mask(*lengths))
        memory, step = attention.remember(annotations), torch.tensor([0, 3])
        weights, scores = attention.weights(query, memory, step), attention.score(query, memory.keys)
        for b, length in enumerate(lengths):
            for r, t in enumerate(step.tolist()):
                centre = min(t, length - 1)
                seen = [s for s in range(length) if abs(s - centre) <= 1]
                total = sum(math.exp(scores[b, r, s]) for s in seen)
                expected = [math.exp(scores[b, r, s]) / total if s in seen else 0.0 for s in range(POSITIONS)]
                assert weights[b, r].tolist() == pytest.approx(expected, abs=1e-12)
                assert [s for s in range(POSITIONS) if weights[b, r, s] != 0] == seen

    @pytest.mark.parametrize("normalise", [True, False])
    @torch.no_grad()
    def test_predictive_equals_the_written_out_formula(self, normalise: bool) -> None:
        attention, lengths, window = self._local(predictive=True, window=2, normalise=normalise), (5, 2, 4), 2
        query, annotations = _inputs(QUERY, mask=_mask(*lengths))
        memory = attention.remember(annotations)
        weights, scores = attention.weights(query, memory), attention.score(query, memory.keys)
        assert attention.W_p is not None
        assert attention.v_p is not None
        sigma = window / 2
        for b, size in enumerate(lengths):
            for r in range(ROWS):
                inner = torch.tanh(attention.W_p.weight @ query[b, r])
                p = size / (1 + math.exp(-float(attention.v_p.weight[0].dot(inner))))
                seen = [s for s in range(size) if abs(s - p) <= window]
                total = sum(math.exp(scores[b, r, s]) for s in seen)
                gaussian = {s: math.exp(-((s - p) ** 2) / (2 * sigma**2)) for s in seen}
                expected = {s: math.exp(scores[b, r, s]) / total * gaussian[s] for s in seen}
                rest = sum(expected.values()) if normalise else 1.0
                literal = [expected.get(s, 0.0) / rest for s in range(POSITIONS)]
                assert weights[b, r].tolist() == pytest.approx(literal, abs=1e-12)

    @settings(deadline=None, max_examples=30)
    @given(
        predictive=st.booleans(),
        window=st.integers(1, 3),
        lengths=st.lists(st.integers(1, POSITIONS), min_size=BATCH, max_size=BATCH),
        step=st.integers(0, 50),
    )
    def test_weights_are_exact_even_past_the_end_of_the_source(
        self, predictive: bool, window: int, lengths: list[int], step: int
    ) -> None:
        attention, mask = self._local(predictive=predictive, window=window), _mask(*lengths)
        query, annotations = _inputs(QUERY, mask=mask)
        weights = attention.weights(query * 20, attention.remember(annotations), torch.full((ROWS,), step))
        torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, ROWS, dtype=torch.float64))
        assert (weights.transpose(1, 2)[~mask] == 0).all()
        assert ((weights != 0).sum(-1) <= 2 * window + 1).all()

    @pytest.mark.parametrize("normalise", [True, False])
    def test_gradients_equal_finite_differences(self, normalise: bool) -> None:
        attention = self._local(predictive=True, window=2, normalise=normalise)
        _assert_gradients_equal_finite_differences(attention, QUERY)

    def test_monotonic_without_steps_is_our_mistake(self) -> None:
        attention = self._local(predictive=False)
        query, annotations = _inputs(QUERY)
        with pytest.raises(AssertionError, match="number of each row's step"):
            attention(query, attention.remember(annotations))


class TestMultiHead:
    def _heads(self, heads: int = 3, query_dim: int = 12) -> MultiHead:
        torch.manual_seed(4)
        attention = MultiHead(query_dim, DIM, heads=heads).double()
        for parameter in attention.parameters():
            nn.init.normal_(parameter, std=0.5)
        return attention

    def test_equals_one_attention_per_head(self) -> None:
        attention, lengths = self._heads(), (5, 2, 4)
        query, annotations = _inputs(12, mask=_mask(*lengths))
        look = attention(query, attention.remember(annotations))
        q, k, v = attention.W_q(query), attention.W_k(annotations.values), attention.W_v(annotations.values)
        for b, length in enumerate(lengths):
            contexts, weights = [], []
            for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
                alpha = torch.softmax(q[b, :, part] @ k[b, :length, part].T / 2, dim=-1)
                contexts.append(alpha @ v[b, :length, part])
                weights.append(alpha)
            torch.testing.assert_close(look.context[b], attention.W_o(torch.cat(contexts, dim=-1)))
            torch.testing.assert_close(look.weights[b, :, :length], torch.stack(weights).mean(0))
            assert (look.weights[b, :, length:] == 0).all()

    def test_weights_alone_are_those_of_the_look(self) -> None:
        attention = self._heads()
        query, annotations = _inputs(12, mask=_mask(3, 5, 1))
        memory = attention.remember(annotations)
        torch.testing.assert_close(attention.weights(query, memory), attention(query, memory).weights)

    @pytest.mark.parametrize("mask", [None, _mask(5, 2, 4)], ids=["full", "padded"])
    def test_the_fused_context_equals_the_explicit_one(self, mask: Tensor | None) -> None:
        attention = self._heads()
        query, annotations = _inputs(12, mask=mask)
        memory = attention.remember(annotations)
        expected = attention(query, memory).context
        torch.testing.assert_close(multi_head_context(attention, query, memory), expected)

    def test_causal_rows_see_no_later_position(self) -> None:
        attention = self._heads(heads=2, query_dim=6)
        query, annotations = torch.randn(BATCH, POSITIONS, 6).double(), _inputs(6)[1]
        causal = multi_head_context(attention, query, attention.remember(annotations), causal=True)
        for t in range(POSITIONS):
            memory = attention.remember(Annotations(annotations.values[:, : t + 1]))
            torch.testing.assert_close(causal[:, t : t + 1], attention(query[:, t : t + 1], memory).context)

    def test_gradients_equal_finite_differences(self) -> None:
        _assert_gradients_equal_finite_differences(self._heads(heads=2, query_dim=4), 4)

    def test_heads_that_do_not_divide_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="5 heads cannot share 12 dimensions; allowed: a size that they divide"):
            self._heads(heads=5)

    def test_dropout_acts_on_the_products_and_not_on_the_weights(self) -> None:
        attention = MultiHead(12, DIM, heads=3, dropout=0.5).train()
        query, annotations = torch.randn(1, 2, 12), Annotations(torch.randn(1, 4, DIM))
        memory = attention.remember(annotations)
        one, two = attention(query, memory), attention(query, memory)
        torch.testing.assert_close(one.weights, two.weights)
        assert not torch.equal(one.context, two.context)


class TestMemory:
    def test_selects_and_shortens_every_tensor(self) -> None:
        inner = Memory(torch.randn(3, 2, 5, 4), torch.randn(3, 2, 5, 4))
        memory = Memory(torch.randn(3, 5, 7), torch.randn(3, 5, 2), _mask(1, 5, 2))
        chosen = memory.select(torch.tensor([2, 0]))
        assert memory.mask is not None
        assert chosen.mask is not None
        torch.testing.assert_close(chosen.values, memory.values[[2, 0]])
        torch.testing.assert_close(chosen.keys, memory.keys[[2, 0]])
        assert torch.equal(chosen.mask, memory.mask[[2, 0]])
        assert inner.select(torch.tensor([1])).values.shape == (1, 2, 5, 4)

    def test_first_gives_views(self) -> None:
        memory = Memory(torch.randn(3, 5, 7), torch.randn(3, 5, 2))
        assert memory.first(3) is memory
        assert memory.first(2).values.data_ptr() == memory.values.data_ptr()
        assert memory.first(2).values.shape == (2, 5, 7)
        assert memory.first(2).mask is None
