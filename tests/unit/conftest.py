"""A tiny captioned data set, a recipe for it, tiny untrained models, and made-up results."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from regard.annotations import Regions
    from regard.model import EncoderDecoder
    from regard.results import Caption, TranslatedCaption, Translation
    from regard.saved.bundle import Bundle
    from regard.training.recipe import Recipe

# What needs torch is imported where it is used: most unit tests do without.

SUBJECTS = ("a dog", "two dogs", "a man in red", "a girl", "some people", "a brown horse")
DEEDS = ("runs on the beach", "sit near a car", "jumps over a log")

TINY_MODEL: dict[str, Any] = {
    "encoder": {
        "name": "efficientnet_lite0",
        "layer": "stage3",
        "size": 64,
        "pool": 3,
        "weights": None,
        "train_from": "stage3",
    },
    "bridge": {"dim": 12},
    "decoder": {"name": "attend", "embedding": 8, "hidden": 8, "attention": 8, "dropout": 0.2},
}


def draw_photo(number: int, *, width: int = 90, height: int = 70) -> Image.Image:
    """A picture that no other number gives."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def captioned_folder(tmp_path: Path) -> Path:
    """Six training photos, three of dev, three captions each, in the layout of Flickr8k."""
    folder = tmp_path / "photos"
    (folder / "Flicker8k_Dataset").mkdir(parents=True)
    lines = []
    splits: dict[str, list[str]] = {"train": [], "dev": []}
    for number, subject in enumerate([*SUBJECTS, *SUBJECTS[::2]]):
        name = f"{number}.jpg"
        draw_photo(number).save(folder / "Flicker8k_Dataset" / name)
        splits["train" if number < len(SUBJECTS) else "dev"].append(name)
        lines += [f"{name}#{i}\t{subject} {deed} ." for i, deed in enumerate(DEEDS)]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split, names in splits.items():
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def parallel_folder(tmp_path: Path) -> Path:
    """Eighteen training pairs, four of val, one of them empty."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    pairs = [(f"{subject} {deed}.".capitalize(), f"{deed[::-1]} {subject}!") for subject in SUBJECTS for deed in DEEDS]
    for split, chosen in (("train", pairs), ("val", [*pairs[1:4], ("", "")])):
        for side, language in enumerate(("en", "de")):
            text = "".join(f"{pair[side]}\n" for pair in chosen)
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def tiny_recipe(captioned_folder: Path) -> Recipe:
    """Two phases: cross-entropy that also trains the encoder's last stage, then self-critical training."""
    from regard.config import parse
    from regard.training.recipe import Recipe

    values = {
        "name": "tiny",
        "seed": 3,
        "data": {"format": "flickr8k", "folder": str(captioned_folder), "minimum_count": 1, "crops": 1},
        "model": TINY_MODEL,
        "phases": [
            {
                "epochs": 2,
                "batch": 2,
                "average": 0.9,
                "label_smoothing": 0.1,
                "doubly_stochastic": 0.1,
                "optim": {"lr": 0.01, "encoder_lr": 0.001, "warmup": 2},
            },
            {
                "objective": "self_critical",
                "epochs": 1,
                "batch": 2,
                "self_critical": {"samples": 2, "bleu": 0.5, "max_length": 6},
                "optim": {"lr": 0.001, "warmup": 0, "schedule": "constant"},
            },
        ],
        "search": {"beam": 2, "max_length": 6},
    }
    return parse(Recipe, values, origin="the test")


def untrained(settings: dict[str, Any], *, writes: int, reads: int = 0) -> EncoderDecoder:
    """A model with numbers large enough to prefer some words to others."""
    import torch

    from regard.config import parse
    from regard.model import EncoderDecoder, ModelSettings

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        parsed = parse(ModelSettings, settings, origin="the test")
        model = EncoderDecoder(parsed, vocabulary_size=writes, source_vocabulary_size=reads).eval()
        for parameter in [*model.decoder.parameters(), *(model.encoder.parameters() if reads else [])]:
            parameter.normal_(std=0.6)
    return model


@pytest.fixture
def tiny_translation_recipe(parallel_folder: Path) -> Recipe:
    """Two short phases of a recurrent translator: cross-entropy, then self-critical training."""
    from regard.config import parse
    from regard.training.recipe import Recipe

    values = {
        "name": "tiny-en-de",
        "data": {
            "format": "parallel",
            "folder": str(parallel_folder),
            "source": "en",
            "target": "de",
            "codec": {"name": "subwords", "size": 300},
            "lengths": {"longest": 40},
        },
        "model": {
            "encoder": {"name": "recurrent", "embedding": 8, "hidden": 6},
            "decoder": {"name": "rnnsearch", "embedding": 8, "hidden": 10, "readout": 8, "attention": 5},
            "shared_embeddings": True,
        },
        "phases": [
            {"epochs": 2, "tokens": 120, "average": 0.5},
            {
                "objective": "self_critical",
                "epochs": 1,
                "tokens": 120,
                "self_critical": {"samples": 2, "cider": 0.0, "bleu": 1.0, "max_length": 12},
            },
        ],
        "search": {"beam": 2, "max_length": 12},
    }
    return parse(Recipe, values, origin="the test")


@pytest.fixture(scope="session")
def tiny_captioner() -> Bundle:
    """An untrained captioner of 3 × 3 regions."""
    from regard.saved.bundle import Bundle
    from regard.search import SearchOptions
    from regard.text import WordTokenizer

    tokenizer = WordTokenizer.train([f"{subject} {deed}" for subject in SUBJECTS for deed in DEEDS])
    return Bundle(
        model=untrained(TINY_MODEL, writes=tokenizer.size),
        tokenizer=tokenizer,
        search=SearchOptions(beam=3, max_length=6, min_length=2),
        card="# tiny\n",
        metrics={"bleu4": 1.5, "signature": "none"},
    )


@pytest.fixture(scope="session")
def tiny_translator() -> Bundle:
    """An untrained translator that reads up to twelve pieces at once."""
    from regard.saved.bundle import Bundle
    from regard.search import SearchOptions
    from regard.text import SubwordTokenizer

    texts = [f"{subject} {deed}.".capitalize() for subject in SUBJECTS for deed in DEEDS]
    tokenizer = SubwordTokenizer.train(texts, size=320)
    settings = {
        "encoder": {"name": "recurrent", "embedding": 8, "hidden": 6},
        "decoder": {"name": "luong", "embedding": 8, "hidden": 10, "tied": False},
    }
    return Bundle(
        model=untrained(settings, writes=tokenizer.size, reads=tokenizer.size),
        tokenizer=tokenizer,
        search=SearchOptions(beam=3, max_length=8, min_length=2, length_normalisation=1.0),
        languages=("en", "de"),
        longest_source=12,
    )


def _grid(width: int, height: int, rows: int = 7, columns: int = 7, mode: str = "squash") -> Regions:
    """A grid over the whole photo, its centred square, or the square around it."""
    from regard.annotations import Regions

    side = {"crop": min(width, height), "letterbox": max(width, height)}.get(mode)
    across, down = (width, height) if side is None else (side, side)
    left, top = (width - across) / 2, (height - down) / 2
    xs, ys = np.linspace(left, left + across, columns + 1), np.linspace(top, top + down, rows + 1)
    rectangles = tuple(
        (float(xs[c]), float(ys[r]), float(xs[c + 1]), float(ys[r + 1])) for r in range(rows) for c in range(columns)
    )
    return Regions(rows, columns, rectangles, width, height)


def _look_at(regions: Regions, row: float, column: float, *, sigma: float = 0.8) -> NDArray[np.float32]:
    """A Gaussian around one cell, in cells."""
    rows, columns = np.mgrid[: regions.rows, : regions.columns]
    weights = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).astype(np.float32)


def _word_spans(text: str) -> list[tuple[str, tuple[int, int]]]:
    return [(match.group(), match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]


def make_up_caption(
    text: str = "A dog runs on the beach.",
    *,
    path: str = "beach.jpg",
    size: tuple[int, int] = (90, 60),
    mode: str = "squash",
) -> Caption:
    """A made-up caption; each word looks at a place of its own."""
    from regard.results import Alternative, Caption, Word

    regions = _grid(*size, mode=mode)
    words = tuple(
        Word(word.lower(), 0.9 / (1 + i), _look_at(regions, i % 7, (2 * i) % 7))
        for i, (word, _) in enumerate(_word_spans(text))
    )
    photo = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    alternatives = (Alternative("a dog on a beach", -1.25), Alternative("dogs run", -2.5))
    return Caption(path, text, -0.75, words, alternatives, True, photo, regions)


def make_up_translation(
    source: str = "A dog runs on the beach.", text: str = "Ein Hund läuft am Strand."
) -> Translation:
    """A made-up translation with random links."""
    from regard.results import Alternative, SourceWord, TargetWord, Translation

    sources = tuple(SourceWord(word, span) for word, span in _word_spans(source))
    targets = tuple(TargetWord(word, 0.5) for word, _ in _word_spans(text))
    alignment = np.random.default_rng(1).dirichlet(np.full(len(sources), 0.3), size=len(targets)).astype(np.float32)
    return Translation(source, text, -1.5, sources, targets, alignment, (Alternative("Hund am Strand", -2.0),), True)


@pytest.fixture
def grid() -> Callable[..., Regions]:
    return _grid


@pytest.fixture
def look() -> Callable[..., NDArray[np.float32]]:
    return _look_at


@pytest.fixture
def make_caption() -> Callable[..., Caption]:
    return make_up_caption


@pytest.fixture
def make_translation() -> Callable[..., Translation]:
    return make_up_translation


@pytest.fixture
def caption() -> Caption:
    return make_up_caption()


@pytest.fixture
def translation() -> Translation:
    return make_up_translation()


@pytest.fixture
def translated() -> TranslatedCaption:
    from regard.results import TranslatedCaption

    return TranslatedCaption(make_up_caption(), make_up_translation())
