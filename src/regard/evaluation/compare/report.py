"""A comparison as a page that says how every number came about: Markdown, JSON beside it, and a chart."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from regard.evaluation.compare.candidates import Candidate, differences
from regard.evaluation.compare.measuring import Entry
from regard.evaluation.compare.tables import grid
from regard.evaluation.compare.wording import counted
from regard.files import write_file
from regard.training.recipe import CaptionData, Recipe
from regard.views.line_chart import Axis, Line, Point, line_chart

SCORES = {"flickr8k": {"cider": "CIDEr-D", "bleu4": "BLEU-4"}, "parallel": {"bleu": "BLEU", "chrf": "chrF2"}}
"""The scores of each format of data, the one that the chart shows first."""
CHART = Path("images", "vector-size.svg")
"""Where the chart lies, seen from the page."""


def write_comparison(entries: Sequence[Entry], page: Path, *, command: str) -> dict[str, Any]:
    """Write the page, ``page`` with the suffix .json, and, where models differ by the size of their vectors, the chart.

    Args:
        entries: from :func:`regard.evaluation.compare.compare`.
        page: a Markdown file.
        command: the line that makes the page again.

    Returns:
        What the JSON file holds.

    Raises:
        DataError: a file cannot be written.
    """
    families = _families(entries)
    ranked = [entry for family in families.values() for entry in family]
    sizes = len(families) < len(entries)
    values = _plain(ranked, command)
    texts = {page: _markdown(ranked, families if sizes else {}, command)}
    texts[page.with_suffix(".json")] = json.dumps(values, ensure_ascii=False, indent=1) + "\n"
    if sizes:
        texts[page.parent / CHART] = _chart(families)
    for path, text in texts.items():
        write_file(path, text.encode())
    return values


def _plain(entries: Sequence[Entry], command: str) -> dict[str, Any]:
    return {
        "command": command,
        "differences": differences([entry.candidate.recipe for entry in entries]),
        "models": [
            {
                "name": entry.candidate.name,
                "about": entry.candidate.about,
                "vector": entry.candidate.vector,
                **entry.measured.scores,
                "parameters": {"trained": entry.measured.trained, "decoder": entry.measured.decoder},
                "seconds": round(entry.measured.seconds, 1),
                "best_epoch": entry.measured.best_epoch,
                "p_value": entry.p_value,
                "seed": entry.candidate.recipe.seed,
                "command": _train_command(entry.candidate),
                "machine": entry.measured.machine,
                "versions": entry.measured.versions,
            }
            for entry in entries
        ],
    }


def _markdown(entries: Sequence[Entry], families: dict[str, list[Entry]], command: str) -> str:
    names = SCORES[entries[0].candidate.recipe.data.format]
    sections = [
        "# Models compared",
        "<!-- Written by `regard compare`; run it again instead of changing this page. -->",
        _conditions(entries, command),
        _table(entries, names),
        _reading(entries),
    ]
    if families:
        score, title = next(iter(names.items()))
        sections += [
            "## The size of the vector",
            f"{title} as the vector is made smaller that the decoder gets of the whole input, or of each place:",
            f"![{title} against the size of the vector]({CHART.as_posix()})",
            _sizes_table(families, score),
        ]
    sections += ["## Each by itself", _commands_table(entries)]
    return "\n\n".join(sections) + "\n"


def _conditions(entries: Sequence[Entry], command: str) -> str:
    """How it was measured, one line each."""
    recipes = [entry.candidate.recipe for entry in entries]
    first, unequal = recipes[0], differences(recipes)
    lines = [
        f"Command: `{command}`",
        f"Data: {Path(first.data.folder).name}; learned from the split `{first.data.train}`, judged on "
        f"`{first.data.validation}` ({counted(int(entries[0].measured.scores['count']), 'input')})",
        f"Budget: {'; then '.join(_budget(first))}; seed {first.seed}",
        f"Search: {_search(first)}",
        f"Signature of the scores: {_each_once(_signature(entry) for entry in entries)}",
        f"Machine: {_each_once(entry.measured.machine for entry in entries)}",
        f"Versions: {_each_once(entry.measured.versions for entry in entries)}",
    ]
    if unequal:
        unequal_settings = "; ".join(f"`{name}` ({', '.join(map(str, values))})" for name, values in unequal.items())
        lines.append(f"**Not the same for all**, the lines above being those of `{first.name}`: {unequal_settings}")
    else:
        lines.append("Data, budget, search and seed are the same for all; only the model differs")
    return "\n".join(f"- {line}." for line in lines)


def _budget(recipe: Recipe) -> list[str]:
    return [
        f"{phase.objective.replace('_', ' ')}, {counted(phase.epochs, 'epoch')}, "
        + (counted(phase.batch, "input") if phase.tokens is None else counted(phase.tokens, "target token"))
        + " a step"
        + f", learning rate {phase.optim.lr:g} ({phase.optim.schedule}), {phase.precision}"
        for phase in recipe.phases
    ]


def _search(recipe: Recipe) -> str:
    options = recipe.search
    width = f"beam {options.beam}" if options.samples is None else f"{options.samples} samples"
    return f"{width}, length normalisation {options.length_normalisation:g}, at most {options.max_length} words"


def _signature(entry: Entry) -> str:
    return f"`{entry.measured.scores['signature']}`"


def _table(entries: Sequence[Entry], names: dict[str, str]) -> str:
    head = ["model", "what it is", "vector", *names.values(), "p", "trained", "decoder", "seconds", "best epoch"]
    rows = [
        [
            f"`{entry.candidate.name}`",
            entry.candidate.about,
            f"{entry.candidate.vector:,}",
            *(f"{entry.measured.scores[score]:.1f}" for score in names),
            "" if entry.p_value is None else f"{entry.p_value:.3f}",
            f"{entry.measured.trained:,}",
            f"{entry.measured.decoder:,}",
            f"{entry.measured.seconds:,.0f}",
            f"{entry.measured.best_epoch} of {sum(phase.epochs for phase in entry.candidate.recipe.phases)}",
        ]
        for entry in entries
    ]
    return grid(head, rows, left=2)


def _reading(entries: Sequence[Entry]) -> str:
    texts = "captions" if isinstance(entries[0].candidate.recipe.data, CaptionData) else "translations"
    return (
        f"Scores × 100 of {texts} found by search in the best epoch, never with the reference as a help. *vector*: the "
        "numbers that the decoder gets of each place that it looks at, or of the whole input where it does not look. "
        "*p*: the share of 1,000 paired bootstrap draws of the validation inputs in which the best model is not better "
        "than this one, by the first score, on what the saved models write; empty for the best. "
        "*trained* and *decoder*: how many numbers learned in all, and how many the decoder has. *seconds*: of "
        "training and validation, without the features of a frozen encoder, which are computed once and shared."
    )


def _sizes_table(families: dict[str, list[Entry]], score: str) -> str:
    sizes = sorted({entry.candidate.vector for family in families.values() for entry in family}, reverse=True)
    rows = []
    for name, family in families.items():
        by_size = {entry.candidate.vector: f"{entry.measured.scores[score]:.1f}" for entry in family}
        rows.append([f"`{name}`", *(by_size.get(size, "") for size in sizes)])
    return grid(["model", *(f"{size:,}" for size in sizes)], rows, left=1)


def _commands_table(entries: Sequence[Entry]) -> str:
    rows = [
        [
            f"`{entry.candidate.name}`",
            str(entry.candidate.recipe.seed),
            f"`{_train_command(entry.candidate)}`",
        ]
        for entry in entries
    ]
    return grid(["model", "seed", "command"], rows, left=3)


def _train_command(candidate: Candidate) -> str:
    words = ["regard", "train", str(candidate.path), "--output", str(candidate.folder)]
    for assignment in candidate.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


def _families(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Models that differ by the size of their vectors alone, the largest first, under the name of that one.

    The family with the best model stands first.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        model = entry.candidate.recipe.model.model_dump(mode="json")
        if model["bridge"] is not None:
            model["bridge"].pop("dim")
        model["decoder"].pop("image_vector", None)
        rest = entry.candidate.recipe.model_dump(mode="json", exclude={"name", "model"})
        groups.setdefault(json.dumps([model, rest], sort_keys=True), []).append(entry)
    score = next(iter(SCORES[entries[0].candidate.recipe.data.format]))
    best_first = sorted(groups.values(), key=lambda group: -max(entry.measured.scores[score] for entry in group))
    families = [sorted(group, key=lambda entry: -entry.candidate.vector) for group in best_first]
    return {family[0].candidate.name: family for family in families}


def _chart(families: dict[str, list[Entry]]) -> str:
    entries = [entry for family in families.values() for entry in family]
    score, title = next(iter(SCORES[entries[0].candidate.recipe.data.format].items()))
    sizes = sorted({entry.candidate.vector for entry in entries})
    lines = [
        Line(
            name,
            [Point(math.log2(each.candidate.vector), each.measured.scores[score]) for each in reversed(family)],
        )
        for name, family in families.items()
    ]
    return line_chart(
        lines,
        title=f"{title} as the vector grows",
        x=Axis("numbers in the vector", [(math.log2(size), str(size)) for size in sizes]),
        y_title=title,
    )


def _each_once(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))
