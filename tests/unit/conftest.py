"""A tiny captioned data set, a recipe for it, and tiny untrained models, for everything above the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from regard.model import EncoderDecoder
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
    from regard.text import WordCodec

    codec = WordCodec.train([f"{subject} {deed}" for subject in SUBJECTS for deed in DEEDS])
    return Bundle(
        model=untrained(TINY_MODEL, writes=codec.size),
        codec=codec,
        search=SearchOptions(beam=3, max_length=6, min_length=2),
        card="# tiny\n",
        metrics={"bleu4": 1.5, "signature": "none"},
    )


@pytest.fixture(scope="session")
def tiny_translator() -> Bundle:
    """An untrained translator that reads up to twelve pieces at once."""
    from regard.saved.bundle import Bundle
    from regard.search import SearchOptions
    from regard.text import SubwordCodec

    texts = [f"{subject} {deed}.".capitalize() for subject in SUBJECTS for deed in DEEDS]
    codec = SubwordCodec.train(texts, size=320)
    settings = {
        "encoder": {"name": "recurrent", "embedding": 8, "hidden": 6},
        "decoder": {"name": "luong", "embedding": 8, "hidden": 10, "tied": False},
    }
    return Bundle(
        model=untrained(settings, writes=codec.size, reads=codec.size),
        codec=codec,
        search=SearchOptions(beam=3, max_length=8, min_length=2, length_normalisation=1.0),
        languages=("en", "de"),
        longest_source=12,
    )
