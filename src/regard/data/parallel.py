"""Parallel sentences as people have them, with everything that is left out counted and reported.

    S.en and S.de    one sentence a line, aligned by line; S.en.txt and S.de.txt are the same
    S.csv            a table with a column for each language; S.tsv, S.jsonl and S.parquet likewise

for a split S, such as ``train`` and ``val``. A first line of a table that names languages ("English", "de") or roles
("source", "target") says which column is which, and is never a pair; without one the source comes first. JSON objects
may hold the languages under "translation". A table that is called after no split is drawn into train, dev and test, and
where there is nothing to choose by, ``dev`` is drawn out of ``train``: the same source sentence never in two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regard.data.lines import read_lines
from regard.data.pair_tables import named_languages, pairs_of_table
from regard.data.problems import Problem
from regard.data.splits import TRAIN, VALIDATION, draw_missing, find_split, split_named_in
from regard.data.tables import TABLE_SUFFIXES
from regard.errors import DataError
from regard.text.languages import look_swapped
from regard.text.words import normalise

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
_NO_LANGUAGES = frozenset(
    each
    for line in (
        "txt tsv csv md log py gz bz xz zip tar jpg png gif",
        "cfg ini sh db yml bib tex doc pdf xls ods rst bak",
    )
    for each in line.split()
)
_TABLES = (*TABLE_SUFFIXES, ".ndjson")
_SHARD = re.compile(r"-\d+-of-\d+$")
USABLE = 0.5
"""Where less than this share of the rows of a table holds pairs, something else is wrong, and the table is refused."""


@dataclass(frozen=True)
class ReadReport:
    """What happened to the pairs of a file on their way into a model.

    Attributes:
        origin: the file or files.
        read: pairs in the data.
        unreadable: rows left out because they hold no pair.
        empty: pairs left out because a side holds nothing.
        too_long: pairs left out because a side is too long.
        uneven: pairs left out because one side is many times longer than the other.
        truncated: pairs kept with a side cut short.
        longest_source, longest_target: in pieces as read, before anything was left out; 0 before encoding.
    """

    origin: str
    read: int
    unreadable: int = 0
    empty: int = 0
    too_long: int = 0
    uneven: int = 0
    truncated: int = 0
    longest_source: int = 0
    longest_target: int = 0

    @property
    def kept(self) -> int:
        """Pairs that are left."""
        return self.read - self.unreadable - self.empty - self.too_long - self.uneven

    def __str__(self) -> str:
        losses = {"unreadable": self.unreadable, "empty": self.empty, "too long": self.too_long, "uneven": self.uneven}
        reasons = [f"{count} {reason}" for reason, count in losses.items() if count]
        left_out = f", left out: {', '.join(reasons)}" if reasons else ""
        truncated = f", cut short: {self.truncated}" if self.truncated else ""
        return f"{self.origin}: {self.kept} of {self.read} pairs{left_out}{truncated}"


@dataclass(frozen=True)
class SentencePairs:
    """Sentences and their translations, as typed.

    Attributes:
        sources, targets: as many of each, in the order of the data.
        report: what was read and left out.
        problems: what could not be read.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    report: ReadReport
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.sources, self.targets, strict=True)

    def select(self, indices: Sequence[int]) -> SentencePairs:
        """The pairs of these numbers; of what was left out of the others nothing is known."""
        report = ReadReport(self.report.origin, read=len(indices))
        return SentencePairs(
            tuple(self.sources[i] for i in indices), tuple(self.targets[i] for i in indices), report, self.problems
        )

    def without_empty(self) -> SentencePairs:
        """The pairs with something on both sides; the others are counted."""
        kept = [pair for pair in self if pair[0].strip() and pair[1].strip()]
        report = replace(self.report, empty=self.report.empty + len(self) - len(kept))
        sources, targets = tuple(source for source, _ in kept), tuple(target for _, target in kept)
        return SentencePairs(sources, targets, report, self.problems)


@dataclass
class _Part:
    """What lies under one name: a file for each language, or tables.

    Attributes:
        sides: a file for each language.
        tables: tables with all languages, which follow one another.
    """

    sides: dict[str, Path] = field(default_factory=dict)
    tables: list[Path] = field(default_factory=list)

    @property
    def languages(self) -> list[str]:
        return list(self.sides) if len(self.sides) > 1 else named_languages(self.tables[0])


def parallel_splits(path: Path) -> dict[str, list[str]]:
    """The splits of a folder, or of a table, and their languages; none where a table does not name them.

    Raises:
        DataError: no such folder or file.
    """
    return {name: part.languages for name, part in _parts(path).items()}


def read_parallel(
    path: Path,
    split: str,
    *,
    source: str,
    target: str,
    columns: Sequence[str | int] | None = None,
    strict: bool = True,
    seed: int = 0,
) -> SentencePairs:
    """The pairs of a split, empty ones included.

    Args:
        path: a folder, or a table.
        split: a name such as ``train``, or a word for the same; one that the data do not have is drawn.
        source, target: language codes such as ``en``.
        columns: of a table those of source and target, by name or counted from 1; None to find them.
        strict: refuse a table with rows that hold no pair, otherwise leave these out and count them.
        seed: of splits that are drawn.

    Raises:
        DataError: nothing there is the split in these languages, what is there is malformed, or the two languages look
            swapped, which naming ``columns`` settles.
        DependencyError: Parquet without the package ``pyarrow``.
    """
    parts = _parts(path)
    found = find_split(split, parts) or _called_after(split, parts)
    rest = find_split(TRAIN, parts) or _called_after(TRAIN, parts)
    alone = next(iter(parts)) if len(parts) == 1 and rest is None and found is None else None
    drawn_from = alone if alone is not None else rest

    def read(name: str) -> SentencePairs:
        return _read_part(path, name, parts[name], source=source, target=target, columns=columns, strict=strict)

    has_validation = alone is None and (find_split(VALIDATION, parts) or _called_after(VALIDATION, parts))
    if found is not None and (found != rest or has_validation):
        return read(found)
    if drawn_from is None or (alone is None and has_validation):
        raise _no_split(path, split, parts, source=source, target=target)
    pairs = read(drawn_from)
    given = {"" if alone is not None else TRAIN: range(len(pairs))}
    groups = {number: normalise(text).text for number, text in enumerate(pairs.sources)}
    drawn = draw_missing(given, groups, seed=seed)
    chosen = find_split(split, drawn)
    if chosen is None:
        raise _no_split(path, split, parts, source=source, target=target)
    return pairs.select(drawn[chosen])


def _no_split(path: Path, split: str, parts: Mapping[str, _Part], *, source: str, target: str) -> DataError:
    return DataError(
        f"{path}: has no split {split!r} in {source} and {target}",
        allowed=", ".join(f"{name} ({', '.join(part.languages)})" for name, part in parts.items()),
        remedy=f"a split is {split}.{source} and {split}.{target}, or a table such as {split}.csv",
    )


def _called_after(split: str, parts: Mapping[str, _Part]) -> str | None:
    """The one part whose name holds a word for the split, such as ``train`` of ``my-train``."""
    named = [name for name in parts if (word := split_named_in(name)) and find_split(split, [word])]
    return named[0] if len(named) == 1 else None


def _parts(path: Path) -> dict[str, _Part]:
    if path.is_file():
        return {path.stem: _Part(tables=[path])}
    if not path.is_dir():
        raise DataError(f"{path}: no such folder", allowed="a folder with files such as train.en and train.de")
    parts: dict[str, _Part] = {}
    for file in sorted(path.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        if file.suffix.lower() in _TABLES:
            parts.setdefault(_SHARD.sub("", file.stem), _Part()).tables.append(file)
            continue
        name = Path(file.stem) if file.suffix == ".txt" else file
        language = name.suffix.removeprefix(".")
        if _LANGUAGE.fullmatch(language) and language not in _NO_LANGUAGES:
            parts.setdefault(name.stem, _Part()).sides.setdefault(language, file)
    return {name: part for name, part in parts.items() if len(part.sides) > 1 or part.tables}


def _read_part(
    path: Path, name: str, part: _Part, *, source: str, target: str, columns: Sequence[str | int] | None, strict: bool
) -> SentencePairs:
    if {source, target} <= part.sides.keys():
        pairs = read_two_files(part.sides[source], part.sides[target])
    elif part.tables:
        pairs = _read_tables(part.tables, source=source, target=target, columns=columns, strict=strict)
    else:
        raise _no_split(path, name, {name: part}, source=source, target=target)
    if columns is None and look_swapped(pairs.sources, pairs.targets, source=source, target=target):
        raise DataError(
            f"{pairs.report.origin}: {source} and {target} look swapped, such as {pairs.sources[0]!r:.60} for {source}",
            remedy="name the columns of a table, source first, with --set 'data.columns=[2, 1]', or swap data.source "
            "and data.target",
        )
    return pairs


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
    origin = f"{source}, {target.name}"
    return SentencePairs(tuple(sources), tuple(targets), ReadReport(origin, read=len(sources)))


def read_columns(path: Path, split: str, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    """All languages of a split side by side, the same number of lines each.

    Args:
        path: a folder, or a table.
        split: the name of one of :func:`parallel_splits`.
        problems: receives the rows of a table that hold no pair.

    Raises:
        DataError: as :func:`read_parallel`.
    """
    part = _parts(path)[split]
    if len(part.sides) > 1:
        first, *others = part.sides
        columns: dict[str, tuple[str, ...]] = {}
        for other in others:
            pairs = read_two_files(part.sides[first], part.sides[other])
            columns |= {first: pairs.sources, other: pairs.targets}
        return columns
    first, *others = part.languages if len(part.languages) > 1 else ["source", "target"]
    columns = {}
    for other in others:
        pairs = _read_tables(part.tables, source=first, target=other, columns=None, strict=False)
        problems += [each for each in pairs.problems if each not in problems]
        columns |= {first: pairs.sources, other: pairs.targets}
    return columns


def _read_tables(
    tables: Sequence[Path], *, source: str, target: str, columns: Sequence[str | int] | None, strict: bool
) -> SentencePairs:
    pairs: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for table in tables:
        for each in pairs_of_table(table, source=source, target=target, columns=columns):
            if isinstance(each, Problem):
                problems.append(each)
            else:
                pairs.append(each[1:])
    if problems and (strict or len(pairs) < USABLE * (len(pairs) + len(problems))):
        more = f", the first of {len(problems)} such rows" if len(problems) > 1 else ""
        raise DataError(f"{problems[0]}{more}")
    report = ReadReport(str(tables[0]), read=len(pairs) + len(problems), unreadable=len(problems))
    sources, targets = tuple(each for each, _ in pairs), tuple(each for _, each in pairs)
    return SentencePairs(sources, targets, report, tuple(problems))
