"""Alignments of given pairs: words between spaces, and the error rate against a gold file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regard.config import parse
from regard.errors import DataError, ModelError
from regard.evaluation.align import align
from regard.metrics import format_pharaoh
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Translator
from regard.results import SourceWord, TargetWord, Translation
from regard.saved.bundle import Bundle


def translation(source: str, target: str, spans: list[tuple[int, int]], words: list[str], rows: object) -> Translation:
    return Translation(
        source=source,
        text=target,
        score=-1.0,
        source_words=tuple(SourceWord(source[start:end], (start, end)) for start, end in spans),
        words=tuple(TargetWord(word, 0.5) for word in words),
        alignment=np.array(rows),
        alternatives=(),
        finished=True,
    )


def test_pieces_between_spaces_are_one_word() -> None:
    """The texts "(well" and "done!" are one word each for a file of alignments, though two for a person who points."""
    said = translation(
        "(well done!",
        "gut gemacht !",
        [(0, 1), (1, 5), (6, 10), (10, 11)],
        ["gut", "gemacht", "!"],
        [[0.4, 0.2, 0.3, 0.1], [0.0, 0.4, 0.3, 0.3], [0.1, 0.1, 0.1, 0.7]],
    )
    assert said.links() == {(0, 0), (1, 1), (1, 2)}
    joined = translation("a b", "x! y", [(0, 1), (2, 3)], ["x", "!", "y"], [[0.6, 0.4], [0.1, 0.9], [1.0, 0.0]])
    assert joined.links() == {(1, 0), (0, 1)}
    assert translation("", "", [], [], np.zeros((0, 0))).links() == frozenset()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    (tmp_path / "val.en").write_text("A dog runs .\n\nTwo dogs\n")
    (tmp_path / "val.de").write_text("Ein Hund\n\nHunde laufen schnell.\n")
    return tmp_path


def test_every_target_word_has_one_link_and_its_own_gold_is_without_error(tiny_translator: Bundle, pairs: Path) -> None:
    aligned = align(Translator(tiny_translator), pairs, "val")
    assert aligned.error_rate is None
    assert [sorted(target for _, target in links) for links in aligned.links] == [[0, 1], [], [0, 1, 2]]
    assert all(source < 4 for source, _ in aligned.links[0])
    gold = pairs / "gold.txt"
    gold.write_text("".join(f"{format_pharaoh(links)}\n" for links in aligned.links))
    assert align(Translator(tiny_translator), pairs, "val", gold=gold).error_rate == 0
    # of six links on either side four agree: the first pair's two are wrong
    wrong = "".join(f"{(source + 1) % 4}-{target} " for source, target in aligned.links[0])
    gold.write_text("\n".join([wrong, *gold.read_text().splitlines()[1:]]) + "\n")
    assert align(Translator(tiny_translator), pairs, "val", gold=gold).error_rate == pytest.approx(1 - 6 / 10)


def test_a_pair_that_cannot_be_aligned_is_named(tiny_translator: Bundle, pairs: Path) -> None:
    (pairs / "val.de").write_text("Ein Hund\n\n" + "Hund " * 20_001)
    with pytest.raises(DataError, match=r"line 3 of val cannot be aligned, the text has 100,005 characters; allowed: "):
        align(Translator(tiny_translator), pairs, "val")


def test_a_model_without_attention_aligns_nothing(tiny_translator: Bundle, pairs: Path) -> None:
    settings = {
        "encoder": {"name": "recurrent", "embedding": 4, "hidden": 3},
        "decoder": {"name": "rnnencdec", "embedding": 4, "hidden": 5, "readout": 4},
    }
    size = tiny_translator.tokenizer.size
    model = EncoderDecoder(
        parse(ModelSettings, settings, origin="the test"), vocabulary_size=size, source_vocabulary_size=size
    )
    with pytest.raises(ModelError, match="a model with the decoder rnnencdec has no attention, so it aligns nothing"):
        align(Translator(replace(tiny_translator, model=model)), pairs, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n", "has 1 lines; allowed: a line for each of the 3 pairs"),
        ("0-0\n\n2-0\n", "line 3: 2-0 in a pair of 2 and 3 words"),
        ("0-0\n\nx\n", "line 3"),
    ],
)
def test_a_gold_file_of_something_else_is_refused(
    tiny_translator: Bundle, pairs: Path, text: str, message: str
) -> None:
    gold = pairs / "gold.txt"
    gold.write_text(text)
    with pytest.raises(DataError, match=message):
        align(Translator(tiny_translator), pairs, "val", gold=gold)


def test_two_directions_are_united_and_held_against_an_aligner(tiny_translator: Bundle, pairs: Path) -> None:
    forward = Translator(tiny_translator)
    back = Translator(replace(tiny_translator, languages=("de", "en")))
    one, two = align(forward, pairs, "val"), align(back, pairs, "val")
    turned = [frozenset((i, j) for j, i in links) for links in two.links]
    both = align(forward, pairs, "val", reverse=back)
    assert both.links == [first & second for first, second in zip(one.links, turned, strict=True)]
    grown = align(forward, pairs, "val", reverse=back, symmetry="grow-diag-final", learned_from="val")
    assert all(first <= second for first, second in zip(both.links, grown.links, strict=True))
    assert grown.error_rate is not None
    assert 0 <= grown.error_rate <= 1
    with pytest.raises(ModelError, match="a model from de into en"):
        align(forward, pairs, "val", reverse=forward)
