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
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regard.config import Settings
from regard.data.batching import Indices, SentenceBatch, assemble_sentences
from regard.data.lines import read_lines
from regard.errors import DataError, TextError
from regard.text.codec import TextCodec
from regard.text.vocabulary import EOS
from regard.text.words import require_unicode

_LANGUAGE_FILE = re.compile(r"(?P<split>.+)\.(?P<language>[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?)")
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
    """The splits of ``folder`` that lie in one file per language, with their languages, all in alphabetical order.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", allowed="a folder with files such as train.en and train.de")
    found: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        match = _LANGUAGE_FILE.fullmatch(path.name)
        if match and match["language"] not in _NO_LANGUAGES and path.is_file():
            found.setdefault(match["split"], []).append(match["language"])
    return {split: languages for split, languages in found.items() if len(languages) > 1}


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
    # one side alone is a missing file, not another format
    if any(side.exists() for side in sides):
        return read_two_files(*sides)
    if (table := folder / f"{split}.tsv").exists():
        return read_tsv(table, source=source, target=target)
    if (objects := folder / f"{split}.jsonl").exists():
        return read_jsonl(objects, source=source, target=target)
    known = [f"{name} ({', '.join(languages)})" for name, languages in splits.items()]
    known += sorted(path.name for pattern in ("*.tsv", "*.jsonl") for path in folder.glob(pattern))
    raise DataError(
        f"{folder}: has no split {split!r} in {source} and {target}",
        allowed=", ".join(known),
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


def read_tsv(path: Path, *, source: str, target: str) -> SentencePairs:
    """Pairs from columns split by tabs; quotation marks mean nothing.

    Raises:
        DataError: the file is missing or is not UTF-8, or a line has too few columns.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    header = rows[0] if rows else []
    named = source in header and target in header
    columns = (header.index(source), header.index(target)) if named else (0, 1)
    pairs = []
    for number, row in enumerate(rows[named:], start=1 + named):
        if len(row) <= max(columns):
            raise DataError(f"{path}: line {number} has {len(row)} columns", allowed=f"at least {max(columns) + 1}")
        pairs.append((row[columns[0]], row[columns[1]]))
    return _pairs(str(path), pairs)


def read_jsonl(path: Path, *, source: str, target: str) -> SentencePairs:
    """Pairs from one JSON object a line.

    Raises:
        DataError: the file is missing or is not UTF-8, or a line is no object with both languages.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    return _pairs(str(path), [_translation(line, f"{path}: line {number}", source, target) for number, line in lines])


def _translation(line: str, origin: str, source: str, target: str) -> tuple[str, str]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{origin} is not JSON: {line:.60}") from None
    if isinstance(values, dict):
        values = values.get("translation", values)
    if not isinstance(values, dict):
        raise DataError(f"{origin} is no JSON object: {line:.60}")
    return _text(values, source, origin), _text(values, target, origin)


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


class LengthSettings(Settings):
    """Which pairs are fit to learn from, by their lengths in pieces, ``<eos>`` not counted."""

    longest: int | None = Field(default=None, ge=1)
    """Of either side; None for no limit."""
    overlong: Literal["drop", "truncate"] = "drop"
    """What happens to a pair with a longer side."""
    ratio: float | None = Field(default=None, gt=1)
    """The longer side has at most this many times the pieces of the shorter one; None for no limit."""


@dataclass(frozen=True)
class EncodedPairs:
    """Sentence pairs as ids, ready to be batched.

    Attributes:
        sources: ids of each source, ``<eos>`` at the end.
        targets: ids of each target, without ``<bos>`` and ``<eos>``.
        report: what was read, left out and cut short.
    """

    sources: tuple[tuple[int, ...], ...]
    targets: tuple[tuple[int, ...], ...]
    report: ReadReport

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Lengths as laid out in a batch, int64 [pair, 2]: target and source, ``<eos>`` counted."""
        pairs = zip(self.sources, self.targets, strict=True)
        return np.array([(len(target) + 1, len(source)) for source, target in pairs], dtype=np.int64).reshape(-1, 2)

    def batch(self, indices: Indices) -> SentenceBatch:
        """The pairs at ``indices`` (int64 [batch]), laid out; ``order`` of the batch points into ``indices``."""
        chosen = indices.tolist()
        return assemble_sentences([self.sources[i] for i in chosen], [self.targets[i] for i in chosen])


def encode_pairs(
    pairs: SentencePairs, *, source: TextCodec, target: TextCodec, limits: LengthSettings | None = None
) -> EncodedPairs:
    """Turn pairs into ids; what ``limits`` leave out or cut short is counted in the report."""
    limits = limits or LengthSettings()
    encoded = [(source.encode(text).ids, target.encode(translation).ids) for text, translation in pairs]
    verdicts = [_judge(len(read), len(written), limits) for read, written in encoded]
    kept = [pair for pair, verdict in zip(encoded, verdicts, strict=True) if verdict in (None, "truncated")]
    report = replace(
        pairs.report,
        too_long=verdicts.count("too_long"),
        uneven=verdicts.count("uneven"),
        truncated=verdicts.count("truncated"),
        longest_source=max((len(read) for read, _ in encoded), default=0),
        longest_target=max((len(written) for _, written in encoded), default=0),
    )
    return EncodedPairs(
        sources=tuple((*read[: limits.longest], EOS) for read, _ in kept),
        targets=tuple(written[: limits.longest] for _, written in kept),
        report=report,
    )


def _judge(source: int, target: int, limits: LengthSettings) -> Literal["too_long", "uneven", "truncated"] | None:
    """What the limits say about a pair of these lengths; None when it is kept as it is."""
    shorter, longer = sorted((source, target))
    if limits.ratio is not None and longer > limits.ratio * max(1, shorter):
        return "uneven"
    if limits.longest is None or longer <= limits.longest:
        return None
    return "truncated" if limits.overlong == "truncate" else "too_long"
