"""Parallel sentences in three formats; nothing is lost without being counted."""

import json
from pathlib import Path

import numpy as np
import pytest

from regard.data.check import check
from regard.data.encoding import LengthSettings, encode_pairs
from regard.data.parallel import (
    parallel_splits,
    read_columns,
    read_jsonl,
    read_parallel,
    read_tsv,
    read_two_files,
)
from regard.errors import DataError
from regard.text import WordCodec
from regard.text.vocabulary import EOS

PAIRS = [("A dog .", "Ein Hund ."), ("", "Leer"), ('He said "no"', "Er sagte „nein“"), ("🐕\u2028x", " ")]


def write(folder: Path, layout: str) -> None:
    if layout == "files":
        for index, language in enumerate(("en", "de")):
            lines = "".join(pair[index] + "\r\n" for pair in PAIRS)
            (folder / f"train.{language}").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    elif layout in ("tsv", "named tsv"):
        header = "de\ten\n" if layout == "named tsv" else ""
        lines = ["\t".join(pair[::-1] if header else pair) for pair in PAIRS]
        (folder / "train.tsv").write_text(header + "\n".join(lines), encoding="utf-8")
    else:
        objects = [{"en": source, "de": target, "id": 7} for source, target in PAIRS]
        wrapped = [{"translation": each} for each in objects] if layout == "wrapped jsonl" else objects
        lines = [json.dumps(each, ensure_ascii=index % 2 == 0) for index, each in enumerate(wrapped)]
        (folder / "train.jsonl").write_text("\n\n".join(lines), encoding="utf-8")


LAYOUTS = ["files", "tsv", "named tsv", "jsonl", "wrapped jsonl"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_gives_the_same_pairs(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    pairs = read_parallel(tmp_path, "train", source="en", target="de")
    assert list(pairs) == PAIRS
    assert (len(pairs), pairs.report.read, pairs.report.kept) == (4, 4, 4)
    kept = pairs.without_empty()
    assert kept.sources == ("A dog .", 'He said "no"')
    assert (kept.report.empty, kept.report.kept) == (2, 2)
    assert str(kept.report).endswith("2 of 4 pairs, left out: 2 empty")


@pytest.mark.parametrize("layout", ["files", "named tsv", "jsonl"])
def test_the_other_direction(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    pairs = read_parallel(tmp_path, "train", source="de", target="en")
    assert list(pairs) == [(target, source) for source, target in PAIRS]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_check_counts(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    report = check(tmp_path)
    assert (report.kind, report.splits[0].name, report.splits[0].count) == ("sentences", "train", 4)
    assert report.splits[0].figures["empty"] == 2
    assert report.problems == ("train: 2 sentences or translations are empty",)


def test_splits_and_languages(tmp_path: Path) -> None:
    write(tmp_path, "files")
    for name in ("train.fr", "val.en", "val.de", "alone.en", "notes.txt", "notes.md", "a.b.en", "a.b.pt-BR"):
        (tmp_path / name).write_text("x\n" * 4, encoding="utf-8")
    assert parallel_splits(tmp_path) == {"a.b": ["en", "pt-BR"], "train": ["de", "en", "fr"], "val": ["de", "en"]}
    assert list(read_columns(tmp_path, "train")) == ["de", "en", "fr"]
    with pytest.raises(DataError, match=r"no split 'test' in en and de; allowed: .*train \(de, en, fr\), val"):
        read_parallel(tmp_path, "test", source="en", target="de")
    with pytest.raises(DataError, match="no split 'val' in en and fr"):
        read_parallel(tmp_path, "val", source="en", target="fr")
    with pytest.raises(DataError, match="no such folder"):
        read_parallel(tmp_path / "absent", "val", source="en", target="fr")


def test_unequal_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.en").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "s.de").write_text("a\nb\n\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"s.en has 2 lines and .*s.de has 3"):
        read_two_files(tmp_path / "s.en", tmp_path / "s.de")
    assert "s.de has 3 lines" in check(tmp_path).problems[0]


def test_malformed_tables_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "s.tsv"
    path.write_text("one\teins\ntwo\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2 has too few columns; allowed: at least 2"):
        read_tsv(path, source="en", target="de")
    path.write_text("en\tde\none\teins\n", encoding="utf-8")
    with pytest.raises(DataError, match="no columns en and fr; allowed: en, de"):
        read_tsv(path, source="en", target="fr")
    path.write_bytes(b"one\te\xefns\n")
    with pytest.raises(DataError, match="line 1 is not UTF-8"):
        read_tsv(path, source="en", target="de")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[" * 100_000, "line 2 is not JSON"),
        ("[]", "line 2 is no JSON object"),
        ('{"translation": 3}', "line 2 is no JSON object"),
        ('{"en": "a"}', "line 2 holds no text in 'de'"),
        ('{"en": "a", "de": 4}', "line 2 holds no text in 'de'"),
        ('{"en": "a", "de": "\\ud800"}', "line 2: the text holds half a surrogate pair"),
    ],
)
def test_malformed_objects_are_named_by_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"en": "a", "de": "b"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_jsonl(path, source="en", target="de")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert message in check(tmp_path).problems[0]


def test_check_finds_repetitions(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 1)):
        (tmp_path / f"{split}.en").write_text("same\n" * count + "one two three\n", encoding="utf-8")
        (tmp_path / f"{split}.de").write_text("same\n" * count + f"{split}\n", encoding="utf-8")
    train, val = check(tmp_path).splits
    assert train.figures == {"empty": 0, "duplicates": 2, "in_other_splits": 3, "untranslated": 3, "longest": 3}
    assert val.figures["in_other_splits"] == 1


@pytest.fixture
def lengths(tmp_path: Path) -> Path:
    """Pairs of 2:2, 5:2, 2:9, 1:4 and 0:1 words."""
    sizes = [(2, 2), (5, 2), (2, 9), (1, 4), (0, 1)]
    for side, language in enumerate(("en", "de")):
        text = "".join(" ".join(["x"] * size[side]) + "\n" for size in sizes)
        (tmp_path / f"s.{language}").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("limits", "kept", "counts"),
    [
        (None, [(2, 2), (5, 2), (2, 9), (1, 4), (0, 1)], {}),
        (LengthSettings(longest=4), [(2, 2), (1, 4), (0, 1)], {"too_long": 2}),
        (LengthSettings(longest=4, overlong="truncate"), [(2, 2), (4, 2), (2, 4), (1, 4), (0, 1)], {"truncated": 2}),
        (LengthSettings(ratio=3.0), [(2, 2), (5, 2), (0, 1)], {"uneven": 2}),
        (LengthSettings(longest=4, ratio=3.0), [(2, 2), (0, 1)], {"too_long": 1, "uneven": 2}),
    ],
    ids=["none", "drop", "truncate", "ratio", "both"],
)
def test_limits_are_counted(
    lengths: Path, limits: LengthSettings | None, kept: list[tuple[int, int]], counts: dict[str, int]
) -> None:
    codec = WordCodec.train(["x"])
    encoded = encode_pairs(
        read_parallel(lengths, "s", source="en", target="de"), source=codec, target=codec, limits=limits
    )
    assert [
        (len(source) - 1, len(target)) for source, target in zip(encoded.sources, encoded.targets, strict=True)
    ] == kept
    assert all(source[-1] == EOS for source in encoded.sources)
    assert all(EOS not in target for target in encoded.targets)
    for name in ("too_long", "uneven", "truncated"):
        assert getattr(encoded.report, name) == counts.get(name, 0)
    assert (encoded.report.longest_source, encoded.report.longest_target) == (5, 9)
    assert encoded.report.kept == len(encoded) == len(kept)
    np.testing.assert_array_equal(encoded.lengths, [(target + 1, source + 1) for source, target in kept])


def test_no_pairs(tmp_path: Path) -> None:
    for language in ("en", "de"):
        (tmp_path / f"s.{language}").write_bytes(b"")
    pairs = read_parallel(tmp_path, "s", source="en", target="de")
    codec = WordCodec.train(["x"])
    assert encode_pairs(pairs, source=codec, target=codec).lengths.shape == (0, 2)
    assert check(tmp_path).problems == ("s: the files are empty",)
