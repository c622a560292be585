"""A comparison as a page that says how every number came about: Markdown, HTML and JSON, and a chart."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from regard.evaluation.compare.candidates import Candidate, differences
from regard.evaluation.compare.entries import Entry, Model, by_model
from regard.evaluation.compare.html import Bar, curves_section, examples_section, html_page, score_section
from regard.evaluation.compare.significance import stored_texts
from regard.evaluation.compare.tables import grid
from regard.evaluation.compare.wording import counted
from regard.files import write_file
from regard.training.recipe import CaptionData, Recipe
from regard.views.line_chart import Axis, Line, Point, line_chart

CAPTION_SCORES = {"cider": "CIDEr-D", "bleu4": "BLEU-4"}
TRANSLATION_SCORES = {"bleu": "BLEU", "chrf": "chrF2"}
CHART = Path("images", "vector-size.svg")
"""Where the chart lies, seen from the page."""


def score_titles(recipe: Recipe) -> dict[str, str]:
    """The titles of the scores that a comparison shows, by name; the one that the chart shows comes first."""
    return CAPTION_SCORES if isinstance(recipe.data, CaptionData) else TRANSLATION_SCORES


def write_comparison(entries: Sequence[Entry], page: Path, *, command: str) -> dict[str, Any]:
    """Write the page, and HTML and JSON beside it; the chart, too, where models differ by the size of their vectors.

    Args:
        entries: from :func:`regard.evaluation.compare.compare`.
        page: a Markdown file.
        command: the line that makes the page again.

    Returns:
        What the JSON file holds.

    Raises:
        DataError: a file cannot be written.
    """
    families = _families(by_model(entries))
    ranked = [model for family in families.values() for model in family]
    sizes = len(families) < len(ranked)
    values = _plain(ranked, command)
    markdown = _markdown(ranked, families if sizes else {}, command)
    charts = {CHART: _chart(families)} if sizes else {}
    texts = {page: markdown, **{page.parent / path: chart for path, chart in charts.items()}}
    texts[page.with_suffix(".json")] = json.dumps(values, ensure_ascii=False, indent=1) + "\n"
    texts[page.with_suffix(".html")] = html_page(markdown, charts, *_sections(ranked))
    for path, text in texts.items():
        write_file(path, text.encode())
    return values


def _sections(models: Sequence[Model]) -> list[str]:
    """What the HTML has besides: charts, and texts side by side where they were written."""
    score, title = _first_score(models)
    folders = {model.name: model.candidate.folder for model in models}
    written = {name: found for name, folder in folders.items() if (found := stored_texts(folder)) is not None}
    bars = [Bar(model.name, model.score(score), model.interval) for model in models]
    return [score_section(bars, title), curves_section(folders, score, title), examples_section(written)]


def _plain(models: Sequence[Model], command: str) -> dict[str, Any]:
    return {
        "command": command,
        "differences": differences([model.candidate.recipe for model in models]),
        "models": [_plain_model(model) for model in models],
    }


def _plain_model(model: Model) -> dict[str, Any]:
    measured, several = model.measured, len(model.entries) > 1
    means = {name: model.score(name) for name, value in measured.scores.items() if isinstance(value, float)}
    spreads = {"spread": {name: model.spread(name) for name in means}} if several else {}
    return {
        "name": model.name,
        "about": model.candidate.about,
        "vector": model.candidate.vector,
        **measured.scores,
        **means,
        **spreads,
        "interval": model.interval,
        "parameters": {"trained": measured.trained, "decoder": measured.decoder},
        "seconds": round(measured.seconds, 1),
        "best_epoch": measured.best_epoch,
        "p_value": model.p_value,
        "seed": model.candidate.recipe.seed,
        "command": _train_command(model.candidate),
        "machine": measured.machine,
        "versions": measured.versions,
        **({"runs": [_plain_run(entry) for entry in model.entries]} if several else {}),
    }


def _plain_run(entry: Entry) -> dict[str, Any]:
    return {
        "seed": entry.candidate.recipe.seed,
        **entry.measured.scores,
        "seconds": round(entry.measured.seconds, 1),
        "best_epoch": entry.measured.best_epoch,
        "command": _train_command(entry.candidate),
    }


def _first_score(models: Sequence[Model]) -> tuple[str, str]:
    """The name and the title of the score that is compared."""
    return next(iter(score_titles(models[0].candidate.recipe).items()))


def _markdown(models: Sequence[Model], families: dict[str, list[Model]], command: str) -> str:
    names = score_titles(models[0].candidate.recipe)
    sections = [
        "# Models compared",
        "<!-- Written by `regard compare`; run it again instead of changing this page. -->",
        _conditions(models, command),
        _table(models, names),
        _reading(models),
    ]
    if families:
        score, title = next(iter(names.items()))
        sections += [
            "## The size of the vector",
            f"{title} as the vector is made smaller that the decoder gets of the whole input, or of each place:",
            f"![{title} against the size of the vector]({CHART.as_posix()})",
            _sizes_table(families, score),
        ]
    sections += ["## Each by itself", _commands_table(models)]
    return "\n\n".join(sections) + "\n"


def _conditions(models: Sequence[Model], command: str) -> str:
    """How it was measured, one line each."""
    recipes = [model.candidate.recipe for model in models]
    first, unequal = recipes[0], differences(recipes)
    entries = [entry for model in models for entry in model.entries]
    seeds = ", ".join(map(str, models[0].seeds))
    lines = [
        f"Command: `{command}`",
        f"Data: {Path(first.data.folder).name}; learned from the split `{first.data.train}`, judged on "
        f"`{first.data.validation}` ({counted(int(entries[0].measured.scores['count']), 'input')})",
        f"Budget: {'; then '.join(_budget(first))}; {'seed' if len(models[0].seeds) == 1 else 'seeds'} {seeds}",
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


def _table(models: Sequence[Model], names: dict[str, str]) -> str:
    head = [
        "model",
        "what it is",
        "vector",
        *names.values(),
        "95 %",
        "p",
        "trained",
        "decoder",
        "seconds",
        "best epoch",
    ]
    rows = [
        [
            f"`{model.name}`",
            model.candidate.about,
            f"{model.candidate.vector:,}",
            *(model.shown(score) for score in names),
            "" if model.interval is None else f"{model.interval[0]:.1f} to {model.interval[1]:.1f}",
            "" if model.p_value is None else f"{model.p_value:.3f}",
            f"{model.measured.trained:,}",
            f"{model.measured.decoder:,}",
            f"{model.measured.seconds:,.0f}",
            f"{model.measured.best_epoch} of {sum(phase.epochs for phase in model.candidate.recipe.phases)}",
        ]
        for model in models
    ]
    return grid(head, rows, left=2)


def _reading(models: Sequence[Model]) -> str:
    texts = "captions" if isinstance(models[0].candidate.recipe.data, CaptionData) else "translations"
    several = len(models[0].entries) > 1
    spread = ", the mean over the seeds ± its standard deviation" if several else ""
    drawn, first = (" and of the seeds", "; of the first seed, as is the best epoch") if several else ("", "")
    return " ".join(
        [
            f"Scores × 100 of {texts} found by search in the best epoch, never with the reference as a help{spread}.",
            "*vector*: the numbers that the decoder gets of each place that it looks at, or of the whole input where",
            "it does not look.",
            f"*95 %*: the interval of the first score over 1,000 bootstrap draws of the validation inputs{drawn}, on",
            "what the saved models write.",
            "*p*: the share of the same draws in which the best model is not better than this one; empty for the best.",
            "*trained* and *decoder*: how many numbers learned in all, and how many the decoder has.",
            "*seconds*: of training and validation, without the features of a frozen encoder, which are computed once",
            f"and shared{first}.",
        ]
    )


def _sizes_table(families: dict[str, list[Model]], score: str) -> str:
    sizes = sorted({model.candidate.vector for family in families.values() for model in family}, reverse=True)
    rows = []
    for name, family in families.items():
        by_size = {model.candidate.vector: model.shown(score) for model in family}
        rows.append([f"`{name}`", *(by_size.get(size, "") for size in sizes)])
    return grid(["model", *(f"{size:,}" for size in sizes)], rows, left=1)


def _commands_table(models: Sequence[Model]) -> str:
    rows = [
        [f"`{entry.candidate.name}`", str(entry.candidate.recipe.seed), f"`{_train_command(entry.candidate)}`"]
        for model in models
        for entry in model.entries
    ]
    return grid(["model", "seed", "command"], rows, left=3)


def _train_command(candidate: Candidate) -> str:
    """The command that trains a run, or that goes on with one from elsewhere."""
    if candidate.path == candidate.folder:
        return shlex.join(["regard", "train", str(candidate.folder)])
    words = ["regard", "train", str(candidate.path), "--output", str(candidate.folder)]
    for assignment in candidate.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


def _families(models: Sequence[Model]) -> dict[str, list[Model]]:
    """Models that differ by the size of their vectors alone, the largest first, under the name of that one.

    The family with the best model stands first.
    """
    groups: dict[str, list[Model]] = {}
    for each in models:
        model = each.candidate.recipe.model.model_dump(mode="json")
        if model["bridge"] is not None:
            model["bridge"].pop("dim")
        model["decoder"].pop("image_vector", None)
        rest = each.candidate.recipe.model_dump(mode="json", exclude={"name", "model"})
        groups.setdefault(json.dumps([model, rest], sort_keys=True), []).append(each)
    score, _ = _first_score(models)
    best_first = sorted(groups.values(), key=lambda group: -max(each.score(score) for each in group))
    families = [sorted(group, key=lambda each: -each.candidate.vector) for group in best_first]
    return {family[0].name: family for family in families}


def _chart(families: dict[str, list[Model]]) -> str:
    models = [model for family in families.values() for model in family]
    score, title = _first_score(models)
    sizes = sorted({model.candidate.vector for model in models})
    lines = [
        Line(
            name,
            [
                Point(math.log2(model.candidate.vector), model.score(score), *(model.interval or ()))
                for model in reversed(family)
            ],
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
