"""BLEU, CIDEr-D, ROUGE-L and METEOR against pycocoevalcap on the same tokens."""

import contextlib
import io
import os
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.metrics import caption_tokens, corpus_bleu, corpus_cider_d, corpus_meteor, corpus_rouge_l

pytest.importorskip("pycocoevalcap.bleu.bleu", reason="the optional package pycocoevalcap is not installed")

DATA = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CAPTIONS = DATA / "flickr8k" / "Flickr8k.token.txt"

sentences = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=10)
# pycocoevalcap's CIDEr cannot count document frequencies when all references are empty
groups = st.lists(sentences, min_size=1, max_size=4).filter(any)
corpora = st.lists(st.tuples(sentences, groups), min_size=1, max_size=5)


def reference_scores(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """BLEU-1 … 4, CIDEr-D and ROUGE-L as pycocoevalcap computes them; what it prints is swallowed."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    truth = {image: [" ".join(words) for words in group] for image, group in enumerate(references)}
    spoken = {image: [" ".join(words)] for image, words in enumerate(hypotheses)}
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, _ = Bleu(4).compute_score(truth, spoken)
        cider, _ = Cider().compute_score(truth, spoken)
        rouge, _ = Rouge().compute_score(truth, spoken)
    return [*bleu, float(cider), float(rouge)]


def our_scores(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    return [
        *corpus_bleu(hypotheses, references),
        corpus_cider_d(hypotheses, references),
        corpus_rouge_l(hypotheses, references),
    ]


@given(corpora)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_corpus_scores_the_same(corpus: list[tuple[list[str], list[list[str]]]]) -> None:
    hypotheses, references = [item[0] for item in corpus], [item[1] for item in corpus]
    assert our_scores(hypotheses, references) == pytest.approx(reference_scores(hypotheses, references), abs=1e-9)


@pytest.mark.parametrize(
    ("hypothesis", "references"),
    [
        ("", ["a dog"]),
        ("", ["a dog", ""]),
        ("a", ["", "a"]),
        ("a dog", ["a dog runs in the park", "a"]),
        ("a a a a a a a a a a a a", ["a"]),
        ("a b c", ["x y z"]),
    ],
)
def test_odd_captions_score_the_same_alone_and_among_others(hypothesis: str, references: list[str]) -> None:
    alone = [hypothesis.split()], [[reference.split() for reference in references]]
    among = [*alone[0], ["b", "dog"]], [*alone[1], [["b", "dog", "runs"]]]
    for corpus in (alone, among):
        assert our_scores(*corpus) == pytest.approx(reference_scores(*corpus), abs=1e-9)


@pytest.mark.skipif(not CAPTIONS.exists(), reason="Flickr8k is not at REGARD_DATA")
@pytest.mark.parametrize("left_out", range(5))
def test_flickr8k_captions_left_out_one_at_a_time(left_out: int) -> None:
    with CAPTIONS.open(encoding="utf-8") as lines:
        captions = [caption_tokens(line.rstrip("\n").split("\t")[1]) for line in islice(lines, 1000)]
    images = [captions[start : start + 5] for start in range(0, 1000, 5)]
    hypotheses = [group[left_out] for group in images]
    references = [group[:left_out] + group[left_out + 1 :] for group in images]
    assert our_scores(hypotheses, references) == pytest.approx(reference_scores(hypotheses, references), abs=1e-9)


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
def test_meteor_is_the_number_that_pycocoevalcap_gives() -> None:
    hypotheses = ["a dog runs on the beach", "two men are sitting on a bench", ""]
    references = [
        ["a brown dog is running on the sand", "the dog runs"],
        ["two men sit on a bench in the park"],
        ["a child jumps"],
    ]
    ours = corpus_meteor(
        [text.split() for text in hypotheses], [[text.split() for text in group] for group in references]
    )
    # frozen from pycocoevalcap 1.2: its own class leaves a process behind, and each start takes seconds
    assert ours == pytest.approx(0.289667028423401, abs=1e-9)
