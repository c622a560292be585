import itertools

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.errors import ConfigError
from regard.search import SearchOptions, SpecialTokens, search

ORDER = [5, 3, 0, 1, 2, 4]


def options(**values):
    return SearchOptions(**{"length_normalisation": 0.0, "max_length": 5, **values})


def assert_same(got, expected, *, tolerance=1e-5):
    for ours, theirs in zip(got, expected, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        assert [h.finished for h in ours] == [h.finished for h in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.score == pytest.approx(other.score, abs=tolerance)
            assert torch.allclose(one.weights, other.weights, atol=tolerance)


def assert_weights_follow(toy, hypothesis):
    said = (0, toy.TOKENS.bos, *hypothesis.tokens)
    expected = [[t, said[t], said[t + 1]] for t in range(len(hypothesis.tokens))]
    assert hypothesis.weights.tolist() == expected
    assert hypothesis.weights.dtype == torch.float32


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.5])
@pytest.mark.parametrize(("vocabulary_size", "max_length"), [(4, 4), (5, 3), (3, 5), (6, 2), (3, 1)])
def test_a_wide_beam_equals_brute_force(toy, alpha, vocabulary_size, max_length):
    decoder = toy.ToyDecoder(inputs=6, steps=max_length, vocabulary_size=vocabulary_size, seed=vocabulary_size)
    wide = options(beam=250, alternatives=7, max_length=max_length, length_normalisation=alpha)
    for index, found in zip(ORDER, search(decoder, toy.inputs_of(ORDER), wide, tokens=toy.TOKENS), strict=True):
        every = toy.enumerate_sequences(decoder, index, max_length=max_length)
        best = sorted(every, key=lambda s: (not s.finished, -s.score(alpha)))[:7]
        assert [h.tokens for h in found] == [s.tokens for s in best]
        assert [h.finished for h in found] == [s.finished for s in best]
        for hypothesis, sequence in zip(found, best, strict=True):
            assert hypothesis.score == pytest.approx(sequence.score(alpha), abs=1e-5)
            assert hypothesis.log_probability == pytest.approx(sequence.log_probability, abs=1e-5)
            assert_weights_follow(toy, hypothesis)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(toy, alpha):
    decoder = toy.ToyDecoder(inputs=40, steps=8, vocabulary_size=7)
    found = search(
        decoder,
        toy.inputs_of(list(range(40))),
        options(beam=1, max_length=8, length_normalisation=alpha),
        tokens=toy.TOKENS,
    )
    finished = set()
    for index, (hypothesis,) in enumerate(found):
        said, before, last = [], 0, toy.TOKENS.bos
        while len(said) < 8 and (not said or said[-1] != toy.TOKENS.eos):
            logits = decoder.table[index, len(said), before, last].clone()
            logits[list(toy.TOKENS.forbidden)] = float("-inf")
            before, last = last, int(logits.argmax())
            said.append(last)
        finished.add(said[-1] == toy.TOKENS.eos)
        assert hypothesis.finished == (said[-1] == toy.TOKENS.eos)
        assert hypothesis.tokens == tuple(w for w in said if w != toy.TOKENS.eos)
    assert finished == {True, False}


def test_a_narrow_beam_equals_one_written_with_lists(toy):
    decoder = toy.ToyDecoder(inputs=30, steps=7, vocabulary_size=6, seed=5, scale=1.0)
    for beam, alpha in itertools.product((2, 3, 5), (0.0, 0.7)):
        narrow = options(beam=beam, alternatives=beam, max_length=7, length_normalisation=alpha)
        found = search(decoder, toy.inputs_of(list(range(30))), narrow, tokens=toy.TOKENS)
        for index, hypotheses in enumerate(found):
            assert [h.tokens for h in hypotheses] == list_beam(toy, decoder, index, beam=beam, alpha=alpha, steps=7)


def list_beam(toy, decoder, index, *, beam, alpha, steps):
    """Beam search as one would write it for a single input, without stopping early."""
    rows, ended = [((), 0.0)], []
    for _ in range(steps):
        candidates = []
        for said, _total in rows:
            for word in range(decoder.vocabulary_size):
                if word not in toy.TOKENS.forbidden:
                    extended = (*said, word)
                    candidates.append((extended, toy.log_probability(decoder, index, extended)))
        candidates.sort(key=lambda c: -c[1])
        rows = []
        for said, total in candidates[: beam - len(ended)]:
            (ended if said[-1] == toy.TOKENS.eos else rows).append((said, total))
    ended.sort(key=lambda c: -c[1] / len(c[0]) ** alpha)
    return [said[:-1] for said, _ in ended] + [said for said, _ in rows]


@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("alternatives", [1, 3])
def test_stopping_early_changes_nothing(toy, monkeypatch, alpha, alternatives):
    decoder = toy.ToyDecoder(inputs=60, steps=12, vocabulary_size=6, seed=2)
    inputs = toy.inputs_of(list(range(60)))
    chosen = options(beam=6, alternatives=alternatives, max_length=12, length_normalisation=alpha)
    early = search(decoder, inputs, chosen, tokens=toy.TOKENS)
    work = sum(batch * rows for batch, rows in decoder.rows_seen)
    decoder.rows_seen.clear()
    monkeypatch.setattr(
        "regard.search.finished.FinishedHypotheses.is_final", lambda self, active: ~active.is_active.any(dim=1)
    )
    assert_same(early, search(decoder, inputs, chosen, tokens=toy.TOKENS))
    full = sum(batch * rows for batch, rows in decoder.rows_seen)
    # a long sentence may still win under α = 2, so there the bound never bites
    assert work < full if alpha < 2 else work == full


@pytest.mark.parametrize(
    "values",
    [
        {"beam": 4, "alternatives": 3},
        {"beam": 4, "groups": 2, "alternatives": 4, "diversity": 0.7},
        {"beam": 3, "no_repeat": 2, "min_length": 2},
        {"samples": 3, "temperature": 0.8},
    ],
)
def test_a_batch_of_32_equals_32_batches_of_1(toy, values):
    decoder = toy.ToyDecoder(inputs=32, steps=10, vocabulary_size=6, seed=1)
    chosen = SearchOptions(max_length=10, **values)
    together = search(decoder, toy.inputs_of(list(range(32))), chosen, tokens=toy.TOKENS)
    alone = [search(decoder, toy.inputs_of([i]), chosen, tokens=toy.TOKENS, numbers=[i])[0] for i in range(32)]
    assert_same(together, alone)
    for hypotheses in together:
        for hypothesis in hypotheses:
            assert_weights_follow(toy, hypothesis)


def test_finished_inputs_leave_the_batch(toy):
    decoder = toy.ToyDecoder(inputs=50, steps=20, vocabulary_size=5, scale=1.0)
    search(decoder, toy.inputs_of(list(range(50))), options(beam=3, max_length=20), tokens=toy.TOKENS)
    sizes = [batch for batch, _ in decoder.rows_seen]
    assert sizes[0] == 50
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 25
    assert decoder.rows_seen[0] == (50, 1), "the first word is looked up once, not once per place"


def test_what_never_ends_is_returned_unfinished(toy):
    decoder = toy.ToyDecoder(inputs=3, steps=6, vocabulary_size=5)
    decoder.table[..., toy.TOKENS.eos] = -1e4
    found = search(decoder, toy.inputs_of([0, 1, 2]), options(beam=3, alternatives=2, max_length=6), tokens=toy.TOKENS)
    for best, second in found:
        assert not best.finished
        assert not second.finished
        assert len(best.tokens) == 6
        assert best.weights.shape == (6, 3)
        assert best.score >= second.score
        assert sum(best.log_probabilities) == pytest.approx(best.log_probability, abs=1e-5)


def test_the_parts_of_a_finished_hypothesis_add_up(toy):
    decoder = toy.ToyDecoder(inputs=1, steps=6, vocabulary_size=5, seed=4)
    ((best,),) = search(decoder, toy.inputs_of([0]), options(beam=8, max_length=6), tokens=toy.TOKENS)
    assert best.finished
    end = toy.log_probability(decoder, 0, (*best.tokens, toy.TOKENS.eos))
    words = toy.log_probability(decoder, 0, best.tokens)
    assert best.log_probability == pytest.approx(end, abs=1e-5)
    assert sum(best.log_probabilities) == pytest.approx(words, abs=1e-5)


def test_a_beam_wider_than_the_vocabulary_finds_distinct_hypotheses(toy):
    decoder = toy.ToyDecoder(inputs=4, steps=4, vocabulary_size=3)
    found = search(
        decoder, toy.inputs_of([0, 1, 2, 3]), options(beam=50, alternatives=50, max_length=4), tokens=toy.TOKENS
    )
    # one word besides the end: it can be said 0 to 3 times before the end, or 4 times without
    for hypotheses in found:
        assert sorted((len(h.tokens), h.finished) for h in hypotheses) == [(n, n < 4) for n in range(5)]


@pytest.mark.parametrize("beam", [1, 3])
def test_the_minimum_length_holds(toy, beam):
    decoder = toy.ToyDecoder(inputs=20, steps=6, vocabulary_size=5)
    decoder.table[..., toy.TOKENS.eos] += 4
    inputs = toy.inputs_of(list(range(20)))
    free = search(decoder, inputs, options(beam=beam, max_length=6), tokens=toy.TOKENS)
    assert min(len(h.tokens) for (h,) in free) < 3
    bound = search(decoder, inputs, options(beam=beam, max_length=6, min_length=3), tokens=toy.TOKENS)
    assert min(len(h.tokens) for (h,) in bound) == 3
    full = search(decoder, inputs, options(beam=beam, max_length=6, min_length=6), tokens=toy.TOKENS)
    assert {(len(h.tokens), h.finished) for (h,) in full} == {(6, False)}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_gram_is_said_twice(toy, size):
    decoder = toy.ToyDecoder(inputs=20, steps=12, vocabulary_size=4)
    decoder.table[..., toy.TOKENS.eos] -= 5
    inputs = toy.inputs_of(list(range(20)))
    chosen = options(beam=4, alternatives=4, max_length=12, no_repeat=size)
    repeats = [
        has_repeat(h.tokens, size) for found in search(decoder, inputs, chosen, tokens=toy.TOKENS) for h in found
    ]
    assert not any(repeats)
    free = search(decoder, inputs, options(beam=4, max_length=12), tokens=toy.TOKENS)
    assert any(has_repeat(h.tokens, size) for (h,) in free)


def has_repeat(tokens, size):
    grams = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
    return len(set(grams)) < len(grams)


@pytest.mark.parametrize("values", [{"beam": 3}, {"samples": 2}])
def test_a_dead_end_returns_what_was_said(toy, values):
    # three words may each be said once and the end not before five: after three words nothing is allowed
    decoder = toy.ToyDecoder(inputs=5, steps=8, vocabulary_size=5)
    chosen = SearchOptions(max_length=8, min_length=5, no_repeat=1, **values)
    for found in search(decoder, toy.inputs_of([0, 1, 2, 3, 4]), chosen, tokens=toy.TOKENS):
        assert len(found) == values.get("samples", 1)
        for hypothesis in found:
            assert sorted(hypothesis.tokens) == [2, 3, 4]
            assert not hypothesis.finished
            assert_weights_follow(toy, hypothesis)


def test_scores_that_are_not_numbers_end_the_search(toy):
    decoder = toy.ToyDecoder(inputs=2, steps=4, vocabulary_size=5)
    decoder.table[1] = float("nan")
    (good,), (bad,) = search(decoder, toy.inputs_of([0, 1]), options(beam=3, max_length=4), tokens=toy.TOKENS)
    assert good.finished
    assert (bad.tokens, bad.finished) == ((), False)


@pytest.mark.parametrize("values", [{"beam": 1}, {"beam": 4, "alternatives": 4}, {"samples": 3}])
def test_each_input_begins_with_its_prefix(toy, values):
    decoder = toy.ToyDecoder(inputs=4, steps=8, vocabulary_size=6)
    prefixes = [[2, 3], [], [5], [1, 4, 4]]
    chosen = SearchOptions(max_length=8, **values)
    found = search(decoder, toy.inputs_of([0, 1, 2, 3]), chosen, tokens=toy.TOKENS, prefixes=prefixes)
    for index, (prefix, hypotheses) in enumerate(zip(prefixes, found, strict=True)):
        for hypothesis in hypotheses:
            assert hypothesis.tokens[: len(prefix)] == tuple(prefix)
            ended = (toy.TOKENS.eos,) if hypothesis.finished else ()
            expected = toy.log_probability(decoder, index, hypothesis.tokens + ended)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-5)
            assert_weights_follow(toy, hypothesis)


def test_a_prefix_of_the_best_hypothesis_finds_it_again(toy):
    decoder = toy.ToyDecoder(inputs=10, steps=6, vocabulary_size=5)
    inputs = toy.inputs_of(list(range(10)))
    chosen = options(beam=200, max_length=6)
    best = [hypotheses[0] for hypotheses in search(decoder, inputs, chosen, tokens=toy.TOKENS)]
    again = search(decoder, inputs, chosen, tokens=toy.TOKENS, prefixes=[h.tokens[:2] for h in best])
    assert_same(again, [[h] for h in best])


def test_a_prefix_that_fills_the_length_is_refused(toy):
    decoder = toy.ToyDecoder(inputs=1, steps=3, vocabulary_size=5)
    with pytest.raises(ConfigError, match="fills max_length"):
        search(decoder, toy.inputs_of([0]), options(max_length=3), tokens=toy.TOKENS, prefixes=[[2, 2, 2]])


class TestGroups:
    def test_without_a_price_each_group_is_a_plain_beam(self, toy):
        decoder = toy.ToyDecoder(inputs=12, steps=6, vocabulary_size=6)
        inputs = toy.inputs_of(list(range(12)))
        plain = search(decoder, inputs, options(beam=2, alternatives=2), tokens=toy.TOKENS)
        grouped = options(beam=6, groups=3, alternatives=6, diversity=0.0)
        for one, three in zip(plain, search(decoder, inputs, grouped, tokens=toy.TOKENS), strict=True):
            assert [h.tokens for h in three] == [h.tokens for h in one for _ in range(3)]

    def test_one_group_is_a_plain_beam_at_any_price(self, toy):
        decoder = toy.ToyDecoder(inputs=12, steps=6, vocabulary_size=6)
        inputs = toy.inputs_of(list(range(12)))
        plain = search(decoder, inputs, options(beam=4, alternatives=4), tokens=toy.TOKENS)
        priced = options(beam=4, alternatives=4, diversity=3.0)
        assert_same(search(decoder, inputs, priced, tokens=toy.TOKENS), plain)

    def test_at_a_high_price_groups_share_no_word_at_a_step(self, toy):
        decoder = toy.ToyDecoder(inputs=8, steps=4, vocabulary_size=7)
        decoder.table[..., toy.TOKENS.eos] = -50
        chosen = options(beam=4, groups=4, alternatives=4, diversity=1e3, max_length=4)
        for found in search(decoder, toy.inputs_of(list(range(8))), chosen, tokens=toy.TOKENS):
            for words in zip(*(h.tokens for h in found), strict=True):
                assert len(set(words)) == 4

    def test_the_price_follows_the_paper_and_stays_out_of_the_totals(self, toy):
        decoder = toy.ToyDecoder(inputs=10, steps=5, vocabulary_size=6, seed=9)
        chosen = options(beam=3, groups=3, alternatives=3, diversity=0.8)
        found = search(decoder, toy.inputs_of(list(range(10))), chosen, tokens=toy.TOKENS)
        for index, hypotheses in enumerate(found):
            expected = diverse_by_hand(toy, decoder, index, groups=3, strength=0.8, steps=5)
            assert sorted(h.tokens for h in hypotheses) == sorted(expected)
            for hypothesis in hypotheses:
                ended = (toy.TOKENS.eos,) if hypothesis.finished else ()
                total = toy.log_probability(decoder, index, hypothesis.tokens + ended)
                assert hypothesis.log_probability == pytest.approx(total, abs=1e-5)


def diverse_by_hand(toy, decoder, index, *, groups, strength, steps):
    """Groups of one, written out: each takes the best word less λ for each earlier group that took it."""
    rows = [() for _ in range(groups)]
    for step in range(steps):
        taken = []
        for group, said in enumerate(rows):
            if said and said[-1] == toy.TOKENS.eos:
                continue
            context = (0, toy.TOKENS.bos, *said)
            scores = torch.log_softmax(decoder.table[index, step, context[-2], context[-1]], dim=-1)
            ranked = [
                (float(scores[w]) - strength * taken.count(w), w)
                for w in range(decoder.vocabulary_size)
                if w not in toy.TOKENS.forbidden
            ]
            word = max(ranked)[1]
            taken.append(word)
            rows[group] = (*said, word)
    return [tuple(w for w in said if w != toy.TOKENS.eos) for said in rows]


def test_padding_is_cut_from_the_weights(toy):
    decoder = toy.ToyDecoder(inputs=2, steps=3, vocabulary_size=5)
    inputs = toy.inputs_of([0, 1])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    found = search(
        decoder, Annotations(inputs.values, mask), options(beam=2, max_length=3, min_length=1), tokens=toy.TOKENS
    )
    assert [h[0].weights.shape[1] for h in found] == [3, 2]


def test_nothing_in_nothing_out(toy):
    decoder = toy.ToyDecoder(inputs=1, steps=3, vocabulary_size=5)
    assert search(decoder, Annotations(torch.zeros(0, 3, 2)), options(), tokens=toy.TOKENS) == []


def test_results_are_plain_tensors_and_the_decoder_is_left_alone(toy):
    decoder = toy.ToyDecoder(inputs=1, steps=5, vocabulary_size=5)
    before = set(vars(decoder))
    ((best,),) = search(decoder, toy.inputs_of([0]), options(min_length=1), tokens=toy.TOKENS)
    assert set(vars(decoder)) == before
    assert not best.weights.is_inference()
    scale = torch.ones(3, requires_grad=True)
    (best.weights * scale).sum().backward()
    assert scale.grad is not None
    with pytest.raises(AssertionError, match="evaluation mode"):
        search(decoder.train(), toy.inputs_of([0]), options(), tokens=toy.TOKENS)


def test_half_precision_logits_are_added_in_single(toy):
    class Half(toy.ToyDecoder):
        def step(self, state, tokens: Tensor):
            step = super().step(state, tokens)
            return type(step)(step.logits.bfloat16(), step.state, step.weights)

    decoder = Half(inputs=3, steps=5, vocabulary_size=5)
    for (hypothesis,) in search(decoder, toy.inputs_of([0, 1, 2]), options(), tokens=toy.TOKENS):
        assert sum(hypothesis.log_probabilities) >= hypothesis.log_probability - 1e-5


def test_special_tokens_are_never_said(toy):
    decoder = toy.ToyDecoder(inputs=10, steps=5, vocabulary_size=6)
    special = SpecialTokens(bos=1, eos=0, forbidden=(1, 3, 5))
    for values in ({"beam": 6, "alternatives": 6}, {"samples": 8}):
        found = search(decoder, toy.inputs_of(list(range(10))), SearchOptions(max_length=5, **values), tokens=special)
        assert {w for hypotheses in found for h in hypotheses for w in h.tokens} == {2, 4}
