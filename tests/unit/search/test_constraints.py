import pytest
import torch

from regard.errors import ConfigError
from regard.search import SearchOptions, SpecialTokens
from regard.search.active import ActiveHypotheses
from regard.search.constraints import (
    ForbiddenTokens,
    MinimumLength,
    NoEndAfter,
    NoRepeat,
    Prefix,
    build_constraints,
    check_prefixes,
)
from regard.search.step_scores import StepScores
from regard.text import WordTokenizer

CPU = torch.device("cpu")
TOKENS = SpecialTokens(bos=1, eos=2, forbidden=(0, 1, 3))


def hypotheses(said, *, inputs=None):
    said = torch.tensor(said, dtype=torch.long)
    batch, rows, step = said.shape
    last = said[..., -1] if step else torch.ones(batch, rows, dtype=torch.long)
    index = torch.arange(batch) if inputs is None else torch.tensor(inputs)
    return ActiveHypotheses(step, index, last, torch.zeros(batch, rows), said)


def banned(scores):
    return [[sorted((row == float("-inf")).nonzero().flatten().tolist()) for row in rows] for rows in scores]


def apply(constraint, rows, vocabulary_size=8):
    scores = torch.zeros(rows.totals.shape[0], rows.totals.shape[1], vocabulary_size)
    constraint(StepScores.of_all(scores), rows)
    return scores


def test_unused_constraints_do_not_exist():
    options = SearchOptions()
    assert build_constraints(options, SpecialTokens(forbidden=()), prefixes=None, device=CPU) == []
    assert build_constraints(options, SpecialTokens(forbidden=()), prefixes=[[], []], device=CPU) == []


def test_forbidden_tokens_are_never_possible():
    assert banned(apply(ForbiddenTokens((0, 3), device=CPU), hypotheses([[[4]], [[5]]]))) == [[[0, 3]], [[0, 3]]]


def test_no_end_after_a_dangling_word():
    rows = hypotheses([[[4, 5], [5, 4]], [[6, 6], [4, 6]]])
    assert banned(apply(NoEndAfter([4, 7], eos=2, device=CPU), rows)) == [[[], [2]], [[], []]]


def test_no_end_after_words_of_the_tokenizer_that_are_one_piece():
    tokenizer = WordTokenizer.train(["a dog on a rock", "a dog on the rock"], minimum_count=2)
    tokens = SpecialTokens.of(tokenizer, SearchOptions(no_end_after=["on", "the", "a rock", "a"]))
    assert tokenizer.decode(tokens.never_last) == "on a"
    assert tokens.forbidden == tokenizer.forbidden
    (constraint,) = build_constraints(
        SearchOptions(), SpecialTokens(forbidden=(), never_last=(4,)), prefixes=None, device=CPU
    )
    assert isinstance(constraint, NoEndAfter)


@pytest.mark.parametrize(("step", "expected"), [(0, [2]), (2, [2]), (3, [])])
def test_no_end_before_the_minimum_length(step, expected):
    assert banned(apply(MinimumLength(3, eos=2), hypotheses([[[4] * step]]))) == [[expected]]


@pytest.mark.parametrize(
    ("size", "said", "expected"),
    [
        (1, [4, 5, 4], [4, 5]),
        (2, [4, 5, 6, 4], [5]),
        (2, [4, 5, 4, 6, 4], [5, 6]),
        (2, [4, 4], [4]),
        (2, [4], []),
        (3, [4, 5, 6, 4, 5], [6]),
        (3, [4, 5, 6, 5, 5], []),
        (3, [4, 4, 4], [4]),
        (3, [4, 5], []),
        (4, [4, 5, 6, 7, 4, 5, 6], [7]),
    ],
)
def test_no_repeat_bans_what_would_complete_a_known_gram(size, said, expected):
    assert banned(apply(NoRepeat(size), hypotheses([[said]]))) == [[expected]]


def test_no_repeat_equals_a_written_out_loop():
    generator = torch.Generator().manual_seed(0)
    said = torch.randint(0, 4, (5, 3, 9), generator=generator)
    for size in (1, 2, 3):
        got = banned(apply(NoRepeat(size), hypotheses(said.tolist()), vocabulary_size=4))
        for b in range(5):
            for r in range(3):
                words = said[b, r].tolist()
                grams = {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
                tail = words[len(words) - size + 1 :]
                assert got[b][r] == [w for w in range(4) if (*tail, w) in grams]


def test_a_prefix_leaves_one_possible_token_and_overrules_other_filters():
    constraints = Prefix([[3, 5], [], [6]], [ForbiddenTokens((0, 3), device=CPU)], device=CPU)
    first = apply(constraints, hypotheses([[[]], [[]], [[]]]), vocabulary_size=7)
    assert banned(first) == [[[0, 1, 2, 4, 5, 6]], [[0, 3]], [[0, 1, 2, 3, 4, 5]]]
    # the first input has left the batch
    second = apply(constraints, hypotheses([[[4]], [[6]]], inputs=[1, 2]), vocabulary_size=7)
    assert banned(second) == [[[0, 3]], [[0, 3]]]


def test_a_forced_token_keeps_its_score():
    scores = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(1))
    before = scores.clone()
    rows = hypotheses([[[]] * 3, [[]] * 3])
    Prefix([[3], [4]], [ForbiddenTokens((3,), device=CPU)], device=CPU)(StepScores.of_all(scores), rows)
    assert torch.equal(scores[0, :, 3], before[0, :, 3])
    assert torch.equal(scores[1, :, 4], before[1, :, 4])


def test_rows_that_are_not_empty_are_filtered_as_in_a_full_batch():
    rows, active = hypotheses([[[4, 5, 4], [5, 4, 6]], [[6, 5, 6], [4, 6, 4]]], inputs=[1, 2]), torch.tensor([1, 2])
    others = [MinimumLength(4, eos=2), NoRepeat(2), ForbiddenTokens((0, 7), device=CPU)]
    for prefixes in ([[], [6, 4, 5, 3], []], [[], [], []]):
        constraint = Prefix(prefixes, others, device=CPU)
        few = StepScores(torch.zeros(2, 8), torch.tensor([[0, 0], [1, 1]]), active)
        constraint(few, rows)
        assert torch.equal(few.values, apply(constraint, rows).flatten(0, 1)[active])


@pytest.mark.parametrize(
    ("prefix", "words"), [([4] * 5, "fills max_length 5"), ([4, 2], "token 2"), ([9], "token 9"), ([-1], "token -1")]
)
def test_prefixes_that_cannot_be_said_are_refused(prefix, words):
    with pytest.raises(ConfigError, match=words):
        check_prefixes([[], prefix], SearchOptions(max_length=5), TOKENS, vocabulary_size=9)
