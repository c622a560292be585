"""Captions from elsewhere compared: files of them, and models, all on the photos of one split.

captions.txt      a caption a line, in the order of the split (regard data convert shows it)
captions.jsonl    objects with the photo's ``path`` or ``image``, and ``text`` or ``caption``; of the path its end tells
                  the photo, as much of it as it takes
a folder          a saved model or a run, which captions the split
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from regard.data.captioned import CaptionedImages
from regard.data.lines import read_lines
from regard.data.problems import Problem
from regard.data.readers import read_captioned_images
from regard.data.tables import parse_json
from regard.errors import DataError
from regard.evaluation.compare.html import Bar, examples_section, html_page, score_section
from regard.evaluation.compare.significance import Judgement, Written, judge
from regard.evaluation.compare.tables import grid
from regard.evaluation.outputs import caption_split
from regard.files import write_file
from regard.metrics import score_captions
from regard.pipeline import load_captioner
from regard.progress import SILENT, Progress


@dataclass(frozen=True)
class JudgedCaptions:
    """The captions of one file or model, their scores and how sure these are."""

    name: str
    written: Written
    scores: Mapping[str, Any]
    judgement: Judgement


def compare_captions(
    paths: Sequence[Path], data: Path, split: str, *, device: str = "cpu", progress: Progress = SILENT
) -> list[JudgedCaptions]:
    """Score captions of the photos of a split, the best first.

    Args:
        paths: files of captions, and folders of models.
        data: captioned photos.
        split: its name.
        device: where models compute.
        progress: receives progress.

    Raises:
        DataError: the data or a file cannot be used, or a file lacks a photo.
        ModelError: a model cannot be used.
    """
    images = read_captioned_images(data, split)
    inputs, references = [str(path) for path in images.paths], [list(each) for each in images.captions]
    written = []
    for path in paths:
        if path.is_dir():
            captioner = load_captioner(path, device=device)
            texts = caption_split(captioner, data, split, progress=progress, changes={}).hypotheses
        else:
            texts = _read(path, images)
        written.append(Written(inputs, texts, references))
    scores = [score_captions(each.hypotheses, references).as_dict() for each in written]
    order = sorted(range(len(paths)), key=lambda number: -float(scores[number]["cider"]))
    judgements = judge([[written[number]] for number in order], 0)
    return [
        JudgedCaptions(str(paths[number]), written[number], scores[number], judgement)
        for number, judgement in zip(order, judgements, strict=True)
    ]


def write_caption_comparison(judged: Sequence[JudgedCaptions], page: Path, *, command: str) -> list[dict[str, Any]]:
    """Write the page, and HTML and JSON beside it.

    Returns:
        What the JSON file holds of each.

    Raises:
        DataError: a file cannot be written.
    """
    markdown = _markdown(judged, command)
    bars = [Bar(each.name, each.scores["cider"], (each.judgement.low, each.judgement.high)) for each in judged]
    examples = examples_section({each.name: each.written for each in judged})
    values = [
        {"name": each.name, **each.scores, "interval": [low, high], "p_value": each.judgement.p_value}
        for each in judged
        for low, high in [(each.judgement.low, each.judgement.high)]
    ]
    text = json.dumps({"command": command, "captions": values}, ensure_ascii=False, indent=1)
    write_file(page, f"{markdown}\n".encode())
    write_file(page.with_suffix(".html"), html_page(markdown, {}, score_section(bars, "CIDEr-D"), examples).encode())
    write_file(page.with_suffix(".json"), f"{text}\n".encode())
    return values


def _markdown(judged: Sequence[JudgedCaptions], command: str) -> str:
    rows = [
        [
            f"`{each.name}`",
            *(f"{each.scores[name]:.1f}" for name in ("cider", "bleu4", "rouge_l")),
            f"{each.judgement.low:.1f} to {each.judgement.high:.1f}",
            "" if each.judgement.p_value is None else f"{each.judgement.p_value:.3f}",
        ]
        for each in judged
    ]
    count, signature = judged[0].scores["count"], judged[0].scores["signature"]
    return "\n\n".join(
        [
            "# Captions compared",
            f"- Command: `{command}`.\n- {count} photos.\n- Signature of the scores: `{signature}`.",
            grid(["captions", "CIDEr-D", "BLEU-4", "ROUGE-L", "95 %", "p"], rows, left=1),
            "*95 %*: the interval of CIDEr-D over 1,000 bootstrap draws of the photos. *p*: the share of them in "
            "which the best captions are not better than these.",
        ]
    )


def _read(path: Path, images: CaptionedImages) -> list[str]:
    """A caption for each image, from a file."""
    lines = read_lines(path)
    if path.suffix.lower() == ".txt":
        if len(lines) != len(images):
            raise DataError(f"{path}: has {len(lines)} lines", allowed=f"one for each of the {len(images)} photos")
        return lines
    rows: dict[str, list[tuple[Path, str]]] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            photo, text = _caption_of(path, number, line)
            rows.setdefault(photo.name, []).append((photo, text))
    names = _shortest_names(images.paths)
    found = [
        _captions_of(photo, name, rows.get(name.name, [])) for photo, name in zip(images.paths, names, strict=True)
    ]
    missing = [name for name, texts in zip(names, found, strict=True) if not texts]
    if missing:
        raise DataError(f"{path}: has no caption of {missing[0]}, the first of {len(missing)} such photos of the split")
    several = [name for name, texts in zip(names, found, strict=True) if len(texts) > 1]
    if several:
        raise DataError(f"{path}: has several captions of {several[0]}", allowed="one for each photo")
    return [text for (text,) in found]


def _shortest_names(photos: Sequence[Path]) -> list[Path]:
    """Of each path the shortest end that no other has: its name, or as many folders before it as it takes."""
    ends = Counter(photo.parts[-length:] for photo in photos for length in range(1, len(photo.parts) + 1))
    shortest = (
        next((length for length in range(1, len(photo.parts)) if ends[photo.parts[-length:]] == 1), len(photo.parts))
        for photo in photos
    )
    return [Path(*photo.parts[-length:]) for photo, length in zip(photos, shortest, strict=True)]


def _captions_of(photo: Path, name: Path, rows: Sequence[tuple[Path, str]]) -> list[str]:
    """The captions of a photo: of the rows whose paths end in its shortest name, those that agree furthest with its
    path."""
    common = [_num_common_parts(photo, path) for path, _ in rows]
    furthest = max([*common, len(name.parts)])
    return [text for (_, text), num in zip(rows, common, strict=True) if num == furthest]


def _num_common_parts(first: Path, second: Path) -> int:
    """How many parts two paths have in common, counted from their ends."""
    parts = zip(reversed(first.parts), reversed(second.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], parts))


def _caption_of(path: Path, number: int, line: str) -> tuple[Path, str]:
    """The path of the photo and the caption on a line of JSON."""
    row = parse_json(line)
    if isinstance(row, Problem) or not isinstance(row, dict):
        raise DataError(f"{path}: line {number} is no JSON object")
    photo = next((row[name] for name in ("path", "image", "file_name") if isinstance(row.get(name), str)), None)
    text = next((row[name] for name in ("text", "caption") if isinstance(row.get(name), str)), None)
    if photo is None or text is None:
        raise DataError(
            f"{path}: line {number} has no photo or no caption",
            allowed='lines such as {"path": "a.jpg", "text": "a dog"}, as caption --output writes them',
        )
    return Path(photo), text
