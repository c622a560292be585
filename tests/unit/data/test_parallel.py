"""Parallel sentences in three formats; nothing is lost without being counted."""

import json
from pathlib import Path

import numpy as np
import pytest

from regard.data.check import check
from regard.data.encoding import LengthSettings, encode_pairs
from regard.data.pair_tables import pairs_of_table
from regard.data.parallel import (
    parallel_splits,
    read_columns,
    read_parallel,
    read_two_files,
)
from regard.data.problems import Problem
from regard.errors import DataError
from regard.text import WordTokenizer
from regard.text.vocabulary import EOS

PAIRS = [("A dog .", "Ein Hund ."), ("", "Leer"), ('He said "no"', "Er sagte „nein“"), ("🐕\u2028x", " ")]


def write(folder: Path, layout: str) -> None:
    if layout == "files":
        for index, language in enumerate(("en", "de")):
            lines = "".join(pair[index] + "\r\n" for pair in PAIRS)
            (folder / f"s.{language}").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    elif layout in ("tsv", "named tsv"):
        header = "de\ten\n" if layout == "named tsv" else ""
        lines = ["\t".join(pair[::-1] if header else pair) for pair in PAIRS]
        (folder / "s.tsv").write_text(header + "\n".join(lines), encoding="utf-8")
    else:
        objects = [{"en": source, "de": target, "id": 7} for source, target in PAIRS]
        wrapped = [{"translation": each} for each in objects] if layout == "wrapped jsonl" else objects
        lines = [json.dumps(each, ensure_ascii=index % 2 == 0) for index, each in enumerate(wrapped)]
        (folder / "s.jsonl").write_text("\n\n".join(lines), encoding="utf-8")


LAYOUTS = ["files", "tsv", "named tsv", "jsonl", "wrapped jsonl"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_gives_the_same_pairs(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    pairs = read_parallel(tmp_path, "s", source="en", target="de")
    assert list(pairs) == PAIRS
    assert (len(pairs), pairs.report.read, pairs.report.kept) == (4, 4, 4)
    kept = pairs.without_empty()
    assert kept.sources == ("A dog .", 'He said "no"')
    assert (kept.report.empty, kept.report.kept) == (2, 2)
    assert str(kept.report).endswith("2 of 4 pairs, left out: 2 empty")


@pytest.mark.parametrize("layout", ["files", "named tsv", "jsonl"])
def test_the_other_direction(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    pairs = read_parallel(tmp_path, "s", source="de", target="en")
    assert list(pairs) == [(target, source) for source, target in PAIRS]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_check_counts(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    report = check(tmp_path)
    assert (report.kind, report.splits[0].name, report.splits[0].count) == ("sentences", "s", 4)
    assert report.splits[0].figures["empty"] == 2
    assert [problem.reason for problem in report.problems] == [
        f"pair {n} of the split 's' has an empty side" for n in (2, 4)
    ]


def test_splits_and_languages(tmp_path: Path) -> None:
    for name in (
        "train.en",
        "train.de",
        "train.fr",
        "val.en",
        "val.de",
        "alone.en",
        "notes.txt",
        "notes.md",
        "a.b.en",
        "a.b.pt-BR",
    ):
        (tmp_path / name).write_text("x\n" * 4, encoding="utf-8")
    assert parallel_splits(tmp_path) == {"a.b": ["en", "pt-BR"], "train": ["de", "en", "fr"], "val": ["de", "en"]}
    assert list(read_columns(tmp_path, "train", [])) == ["de", "en", "fr"]
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
    assert "has 3 lines" in str(check(tmp_path).problems[0])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.tsv", b"one\teins\ntwo\n", "line 2: holds 1 cells, no text in '2'; complete the row"),
        ("s.csv", b"en,de\none,eins\nx,y,z\n", "line 3: holds 3 cells, more than there are columns; complete the row"),
        ("s.csv", b'en,de\nx,y\none,"eins\n', "line 3: opens a quotation mark that is never closed"),
        (
            "s.tsv",
            b"one\teins\none\te\xefns\n",
            "line 2: is not UTF-8 (byte 6 of the line is 0xef, '\u00ef' in Latin-1)",
        ),
        ("s.jsonl", b"{\n", "line 2: is not JSON"),
        ("s.jsonl", b"[" * 100_000, "line 2: is not JSON"),
        ("s.jsonl", b"[]", "line 2: is no JSON object"),
        ("s.jsonl", b'{"translation": 3}', "line 2: holds no pair"),
        ("s.jsonl", b'{"en": "a"}', "line 2: holds no pair, no text in 'de'"),
        ("s.jsonl", b'{"en": "a", "de": 4}', "line 2: holds no pair, no text in 'de'"),
        ("s.jsonl", b'{"en": "a", "de": "\\ud800"}', "line 2: holds half a surrogate pair"),
    ],
)
def test_malformed_rows_are_named_by_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"en": "a", "de": "b"}\n' + content if name == "s.jsonl" else content)
    with pytest.raises(DataError) as caught:
        read_parallel(tmp_path, "s", source="en", target="de")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert check(tmp_path).problems[0].line == int(message[5])
    pairs = read_parallel(tmp_path, "s", source="en", target="de", strict=False)
    assert (pairs.report.kept, pairs.report.unreadable) == (1, 1)
    assert "left out: 1 unreadable" in str(pairs.report)


def test_a_table_of_which_most_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("en,de\na,b\nx\ny\n")
    with pytest.raises(DataError, match=r"line 3.*the first of 2 such rows"):
        read_parallel(tmp_path, "s", source="en", target="de", strict=False)


ENGLISH = ["The dog runs on the beach .", "A man and a woman are in the park .", "There is a boat in the water ."]
GERMAN = ["Der Hund rennt am Strand .", "Ein Mann und eine Frau sind im Park .", "Ein Boot ist auf dem Wasser ."]
KOREAN = ["개가 해변을 달린다 .", "남자와 여자가 공원에 있다 .", "물 위에 배가 있다 ."]


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        delimiter = "," if path.suffix == ".csv" else "\t"
        path.write_text("\n".join([delimiter.join(rows[0]), *(delimiter.join(row.values()) for row in rows)]))


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("english", "korean"),
    [("en", "ko"), ("English", "Korean"), ("english", "한국어"), ("target", "source"), ("en", "src")],
)
@pytest.mark.parametrize("order", [1, -1])
def test_columns_are_found_by_their_names(tmp_path: Path, suffix: str, english: str, korean: str, order: int) -> None:
    columns = [(english, ENGLISH), (korean, KOREAN), ("id", ["3", "4", "5"])][::order]
    rows = [{name: texts[i] for name, texts in columns} for i in range(3)]
    write_table(tmp_path / f"s.{suffix}", rows)
    assert list(read_parallel(tmp_path, "s", source="ko", target="en")) == list(zip(KOREAN, ENGLISH, strict=True))


@pytest.mark.parametrize(("names", "texts"), [(("en", "ko"), (ENGLISH, KOREAN)), (("en", "de"), (ENGLISH, GERMAN))])
def test_swapped_languages_are_refused_with_the_option_that_settles_it(
    tmp_path: Path, names: tuple[str, str], texts: tuple[list[str], list[str]]
) -> None:
    (tmp_path / "s.tsv").write_text("\n".join("\t".join(row) for row in zip(*texts, strict=True)))
    source, target = names
    assert list(read_parallel(tmp_path, "s", source=source, target=target)) == list(zip(*texts, strict=True))
    with pytest.raises(DataError, match=r"look swapped.*data.columns=\[2, 1\]"):
        read_parallel(tmp_path, "s", source=target, target=source)
    settled = read_parallel(tmp_path, "s", source=target, target=source, columns=[2, 1])
    assert settled.sources == tuple(texts[1])
    for name, side in zip(names[::-1], texts, strict=True):
        (tmp_path / f"t.{name}").write_text("\n".join(side))
    with pytest.raises(DataError, match="look swapped"):
        read_parallel(tmp_path, "t", source=source, target=target)
    assert any("look swapped" in problem.reason for problem in check(tmp_path).problems)


def test_a_header_in_no_known_words_is_told_from_its_script(tmp_path: Path) -> None:
    rows = ["line\tphrase", *("\t".join(row) for row in zip(KOREAN, ENGLISH, strict=True))]
    (tmp_path / "s.tsv").write_text("\n".join(rows))
    assert read_parallel(tmp_path, "s", source="ko", target="en").sources == tuple(KOREAN)


def test_other_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"question": "a", "answer": "b", "id": 3}\n')
    with pytest.raises(DataError, match=r"no columns en and de; allowed: question, answer; .*data.columns"):
        read_parallel(tmp_path, "s", source="en", target="de")
    chosen = read_parallel(tmp_path, "s", source="en", target="de", columns=["answer", 1])
    assert list(chosen) == [("b", "a")]
    with pytest.raises(DataError, match="has no column 'x'; allowed: question, answer"):
        read_parallel(tmp_path, "s", source="en", target="de", columns=["x", 1])
    with pytest.raises(DataError, match="are no two columns"):
        read_parallel(tmp_path, "s", source="en", target="de", columns=[1, "question"])


@pytest.mark.parametrize("name", ["pairs.csv", "train.csv"])
def test_splits_that_are_missing_are_drawn(tmp_path: Path, name: str) -> None:
    pairs = [(f"sentence {number // 2}", f"Satz {number}") for number in range(200)]
    (tmp_path / name).write_text("en,de\n" + "".join(f"{source},{target}\n" for source, target in pairs))
    drawn = [read_parallel(tmp_path, split, source="en", target="de") for split in ("train", "val")]
    if name == "pairs.csv":
        drawn.append(read_parallel(tmp_path / name, "test", source="en", target="de"))
    assert [len(each) for each in drawn] == ([120, 60, 20] if name == "pairs.csv" else [140, 60])
    assert sorted(pair for each in drawn for pair in each) == sorted(pairs)
    for each in drawn:
        assert all(each.sources.count(source) == 2 for source in each.sources), "a sentence stands in one split"


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
    tokenizer = WordTokenizer.train(["x"])
    encoded = encode_pairs(
        read_parallel(lengths, "s", source="en", target="de"), source=tokenizer, target=tokenizer, limits=limits
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
    tokenizer = WordTokenizer.train(["x"])
    assert encode_pairs(pairs, source=tokenizer, target=tokenizer).lengths.shape == (0, 2)
    assert [problem.reason for problem in check(tmp_path).problems] == ["the split 's' is empty"]


SENTENCES = [("A dog runs.", "Ein Hund rennt."), ("Two men talk", "Zwei Männer reden gerade"), ("Thanks", "Danke")]
SENTENCES += [(f"A girl reads book {number}", f"Ein Mädchen liest Buch {number}") for number in range(8)]


@pytest.mark.parametrize("names", [("a", "b"), ("text_1", "text_2"), ("col 1", "col 2"), ("sentenceA", "sentenceB")])
def test_a_header_of_unknown_names_is_no_pair(tmp_path: Path, names: tuple[str, str]) -> None:
    table = tmp_path / "train.csv"
    table.write_text("\n".join(map(",".join, [names, *SENTENCES])), encoding="utf-8")
    assert list(pairs_of(table)) == SENTENCES
    assert list(pairs_of(table, columns=[2, 1])) == [(target, source) for source, target in SENTENCES]
    assert list(pairs_of(table, columns=list(names))) == SENTENCES


@pytest.mark.parametrize("first", [("Go.", "Geh."), ("cat", "Katze"), ("I see", "Ich sehe es")])
def test_a_short_first_pair_is_no_header(tmp_path: Path, first: tuple[str, str]) -> None:
    others = [("dog", "Hund"), ("house", "Haus")] if first[0] == "cat" else SENTENCES
    table = tmp_path / "train.csv"
    table.write_text("\n".join(map(",".join, [first, *others])), encoding="utf-8")
    assert list(pairs_of(table)) == [first, *others]


def pairs_of(table: Path, columns: list[str | int] | None = None) -> list[tuple[str, str]]:
    rows = pairs_of_table(table, source="en", target="de", columns=columns)
    return [row[1:] for row in rows if not isinstance(row, Problem)]
