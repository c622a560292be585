"""BLEU by length: every sentence in its bin, long ones read whole, joined ones really joined."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from regard.data.parallel import SentencePairs, read_parallel
from regard.errors import ConfigError
from regard.evaluation.lengths import lengthen, lengths_table, measure_lengths, write_lengths
from regard.pipeline import Translator
from regard.saved.bundle import Bundle

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def sentence(length: int, shift: int = 0) -> str:
    return " ".join(WORDS[(place + shift) % len(WORDS)] for place in range(length))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sources of 4, 10, 11 and 25 words and one empty pair; the targets are the sources."""
    lines = [sentence(4), "", sentence(10, 3), sentence(11, 5), sentence(25)]
    for language in ("en", "de"):
        (tmp_path / f"val.{language}").write_text("\n".join(lines) + "\n")
    return tmp_path


class Parrot:
    """Stands in for a translator: repeats what it reads, but of more than ten words only the first five."""

    calls: list[dict[str, Any]]

    def __init__(self, bundle: Bundle, *, device: str = "cpu", whole: bool = False) -> None:
        self.bundle, self.languages, self.device, self.whole = bundle, bundle.languages, device, whole

    def translate_many(self, texts: Iterable[str], **options: Any) -> Iterator[SimpleNamespace]:
        Parrot.calls.append({"whole": self.whole, **options})
        for text in texts:
            words = text.split()
            yield SimpleNamespace(text=" ".join(words if len(words) <= 10 else words[:5]))


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch, tiny_translator: Bundle) -> Any:
    Parrot.calls = []
    monkeypatch.setattr("regard.evaluation.lengths.Translator", Parrot)
    return Parrot(tiny_translator)


def pairs(count: int, folder: Path) -> SentencePairs:
    for language in ("en", "de"):
        (folder / f"test.{language}").write_text("".join(f"{language}{number}\n" for number in range(count)))
    return read_parallel(folder, "test", source="en", target="de")


def test_neighbours_are_joined_on_both_sides_without_overlap(tmp_path: Path) -> None:
    sources, targets = lengthen(pairs(5, tmp_path), 3)
    assert sources == ["en0", "en1", "en2", "en3", "en4", "en0 en1", "en2 en3", "en0 en1 en2"]
    assert targets == [text.replace("en", "de") for text in sources]


@pytest.mark.parametrize("joined", [0, 6])
def test_more_sentences_than_there_are_cannot_be_joined(joined: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 to the 5"):
        lengthen(pairs(5, tmp_path), joined)


def test_every_sentence_falls_into_its_bin(parrot: Any, data: Path) -> None:
    (curve,) = measure_lengths({"parrot": parrot}, data, "val", bins=(10, 20))
    assert [part.count for part in curve.bins] == [2, 1, 1]
    short, middle, long = (part.bleu for part in curve.bins)
    assert short == pytest.approx(100)
    assert middle is not None
    assert long is not None
    assert long < middle < 100


def test_sources_are_read_whole_and_there_is_room_for_long_translations(parrot: Any, data: Path) -> None:
    measure_lengths({"parrot": parrot}, data, "val", joined=2, beam=4)
    measure_lengths({"parrot": parrot}, data, "val", max_length=7)
    first, second = Parrot.calls
    assert first["whole"]
    assert (first["beam"], first["max_length"]) == (4, 2 * 36 + 20)
    assert second["max_length"] == 7


def test_models_of_other_languages_have_no_place_in_one_figure(
    parrot: Any, tiny_translator: Bundle, data: Path
) -> None:
    other: Any = Parrot(replace(tiny_translator, languages=("de", "en")))
    with pytest.raises(ConfigError, match=r"first \(en to de\), second \(de to en\)"):
        measure_lengths({"first": parrot, "second": other}, data, "val")


def test_a_real_translator_goes_through(tiny_translator: Bundle, data: Path) -> None:
    translator = Translator(tiny_translator)
    (curve,) = measure_lengths({"tiny": translator}, data, "val", beam=1, max_length=6)
    assert sum(part.count for part in curve.bins) == 4
    assert translator.bundle.longest_source == 12, "the translator that was given stays as it is"


def test_the_page_shows_the_bins_that_hold_sentences(parrot: Any, data: Path, tmp_path: Path) -> None:
    curves = measure_lengths({"first": parrot, "second": parrot}, data, "val", bins=(3, 10, 20))
    page = tmp_path / "docs" / "lengths.md"
    write_lengths(curves, page, command="regard lengths …", data=data, split="val", joined=1)
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [row[:2] for row in rows] == [
        ["| words", "sentences"],
        ["| ---", "---:"],
        ["| 4–10", "2"],
        ["| 11–20", "1"],
        ["| 21+", "1"],
    ]
    assert rows[0][2:] == ["`first`", "`second` |"]
    assert rows[2][2].startswith("100.0 (100.0–100.0)")
    models = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["models"]
    assert [part["count"] for part in models[0]["bins"]] == [2, 1, 1]
    chart = ElementTree.parse(page.parent / "images" / f"{page.stem}.svg").getroot()
    spoken = chart.findtext("{http://www.w3.org/2000/svg}desc") or ""
    assert spoken.startswith("first: 100.0 at 4–10, ")
    assert lengths_table(curves)[0] == ["words", "sentences", "first", "second"]
