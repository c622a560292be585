"""Parallel sentences: two files, TSV or JSONL, with everything that is left out counted and reported.

    S.en and S.de    one sentence a line, aligned by line
    S.tsv            columns split by tabs; a first line of language codes names them, else source and target come first
    S.jsonl          one object a line with a key per language, by itself or under "translation"

for a split S; :func:`read_parallel` takes the first of the three that is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regard.data.lines import iterate_lines, read_lines
from regard.errors import DataError, TextError
from regard.text.words import require_unicode

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
_NO_LANGUAGES = frozenset(["txt", "tsv", "csv", "md", "log", "py", "gz", "bz", "xz", "zip", "tar", "jpg", "png", "gif"])


@dataclass(frozen=True)
class ReadReport:
    """What happened to the pairs of a file on their way into a model.

    Attributes:
        origin: the file or files.
        read: pairs in the data.
        empty: pairs left out because a side holds nothing.
        too_long: pairs left out because a side is too long.
        uneven: pairs left out because one side is many times longer than the other.
        truncated: pairs kept with a side cut short.
        longest_source, longest_target: in pieces as read, before anything was left out; 0 before encoding.
    """

    origin: str
    read: int
    empty: int = 0
    too_long: int = 0
    uneven: int = 0
    truncated: int = 0
    longest_source: int = 0
    longest_target: int = 0

    @property
    def kept(self) -> int:
        """Pairs that are left."""
        return self.read - self.empty - self.too_long - self.uneven

    def __str__(self) -> str:
        losses = {"empty": self.empty, "too long": self.too_long, "uneven": self.uneven}
        told = [f"{count} {reason}" for reason, count in losses.items() if count]
        left_out = f", left out: {', '.join(told)}" if told else ""
        truncated = f", cut short: {self.truncated}" if self.truncated else ""
        return f"{self.origin}: {self.kept} of {self.read} pairs{left_out}{truncated}"


@dataclass(frozen=True)
class SentencePairs:
    """Sentences and their translations, as typed.

    Attributes:
        sources, targets: as many of each, in the order of the data.
        report: what was read and left out.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    report: ReadReport

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.sources, self.targets, strict=True)

    def without_empty(self) -> SentencePairs:
        """The pairs with something on both sides; the others are counted."""
        kept = [pair for pair in self if pair[0].strip() and pair[1].strip()]
        report = replace(self.report, empty=self.report.empty + len(self) - len(kept))
        return SentencePairs(tuple(source for source, _ in kept), tuple(target for _, target in kept), report)


def parallel_splits(folder: Path) -> dict[str, list[str]]:
    """The splits of ``folder`` and their languages; none where a table does not name them.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", allowed="a folder with files such as train.en and train.de")
    sides: dict[str, list[str]] = {}
    single: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        language = path.suffix.removeprefix(".")
        if not path.is_file():
            continue
        if language in ("tsv", "jsonl"):
            single[path.stem] = _named_languages(path)
        elif _LANGUAGE.fullmatch(language) and language not in _NO_LANGUAGES:
            sides.setdefault(path.stem, []).append(language)
    return single | {split: languages for split, languages in sides.items() if len(languages) > 1}


def _named_languages(path: Path) -> list[str]:
    """The languages that the first line of a table or of a file of objects names, if any."""
    try:
        first = next(iterate_lines(path), "")
        if path.suffix == ".tsv":
            cells = first.split("\t")
            return cells if all(_LANGUAGE.fullmatch(cell) for cell in cells) else []
        texts = {key: text for key, text in _object(first, "").items() if isinstance(text, str)}
        return [key for key in texts if _LANGUAGE.fullmatch(key)]
    except DataError:
        # reading the split will say what is wrong
        return []


def read_parallel(folder: Path, split: str, *, source: str, target: str) -> SentencePairs:
    """The pairs of a split, empty ones included.

    Args:
        folder: where the data lie.
        split: a name such as ``train``.
        source, target: language codes such as ``en``.

    Raises:
        DataError: nothing there is the split in these languages, or what is there is malformed.
    """
    splits = parallel_splits(folder)
    sides = folder / f"{split}.{source}", folder / f"{split}.{target}"
    if all(side.exists() for side in sides):
        return read_two_files(*sides)
    if (table := folder / f"{split}.tsv").exists():
        return read_tsv(table, source=source, target=target)
    if (objects := folder / f"{split}.jsonl").exists():
        return read_jsonl(objects, source=source, target=target)
    raise DataError(
        f"{folder}: has no split {split!r} in {source} and {target}",
        allowed=", ".join(f"{name} ({', '.join(languages)})" for name, languages in splits.items()),
        remedy=f"a split is {split}.{source} and {split}.{target}, or {split}.tsv, or {split}.jsonl",
    )


def read_two_files(source: Path, target: Path) -> SentencePairs:
    """Pairs from two files that are aligned by line.

    Raises:
        DataError: a file is missing or is not UTF-8, or they have different numbers of lines.
    """
    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources)} lines and {target} has {len(targets)}",
            allowed="files that are aligned by line",
        )
    return _pairs(f"{source}, {target.name}", list(zip(sources, targets, strict=True)))


def read_columns(folder: Path, split: str) -> dict[str, tuple[str, ...]]:
    """All languages of a split side by side, the same number of lines each.

    Raises:
        DataError: as :func:`read_parallel`.
    """
    first, *others = parallel_splits(folder).get(split) or ["source", "target"]
    columns: dict[str, tuple[str, ...]] = {}
    for other in others:
        pairs = read_parallel(folder, split, source=first, target=other)
        columns |= {first: pairs.sources, other: pairs.targets}
    return columns


def read_tsv(path: Path, *, source: str, target: str) -> SentencePairs:
    """Pairs from columns split by tabs; quotation marks mean nothing.

    Raises:
        DataError: the file is missing or is not UTF-8, names other languages, or a line has too few columns.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    names = _named_languages(path)
    if names and not {source, target} <= set(names):
        raise DataError(f"{path}: has no columns {source} and {target}", allowed=", ".join(names))
    columns = (names.index(source), names.index(target)) if names else (0, 1)
    first = 1 if names else 0
    pairs = []
    for number, row in enumerate(rows[first:], start=1 + first):
        if len(row) <= max(columns):
            raise DataError(f"{path}: line {number} has too few columns", allowed=f"at least {max(columns) + 1}")
        pairs.append((row[columns[0]], row[columns[1]]))
    return _pairs(str(path), pairs)


def read_jsonl(path: Path, *, source: str, target: str) -> SentencePairs:
    """Pairs from one JSON object a line; blank lines are none.

    Raises:
        DataError: the file is missing or is not UTF-8, or a line is no object with a text in both languages.
    """
    pairs = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            origin = f"{path}: line {number}"
            values = _object(line, origin)
            pairs.append((_text(values, source, origin), _text(values, target, origin)))
    return _pairs(str(path), pairs)


def _object(line: str, origin: str) -> dict[str, Any]:
    """The object that holds the languages, at the top or under "translation"."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{origin} is not JSON: {line:.60}") from None
    if isinstance(values, dict):
        values = values.get("translation", values)
    if not isinstance(values, dict):
        raise DataError(f"{origin} is no JSON object: {line:.60}")
    return values


def _text(values: dict[str, Any], language: str, origin: str) -> str:
    text = values.get(language)
    if not isinstance(text, str):
        raise DataError(f"{origin} holds no text in {language!r}", allowed=f'objects such as {{"{language}": "…"}}')
    try:
        require_unicode(text)
    except TextError as error:
        raise DataError(f"{origin}: {error.given}") from None
    return text


def _pairs(origin: str, pairs: Sequence[tuple[str, str]]) -> SentencePairs:
    sources, targets = tuple(source for source, _ in pairs), tuple(target for _, target in pairs)
    return SentencePairs(sources, targets, ReadReport(origin, read=len(pairs)))
