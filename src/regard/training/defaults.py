"""A recipe for data that come without one: what fits their kind and their number, and why.

The numbers were found by trying: a model learns little in fewer than some hundred steps, so few inputs come in small
batches and many epochs; a running average must not reach further back than a fraction of the steps; a trained model is
changed more carefully than a new one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from regard.config import parse
from regard.data.captioned import CaptionedImage
from regard.data.parallel import parallel_splits, read_parallel
from regard.data.readers import find_format, read_collection
from regard.data.splits import FEW, TRAIN, VALIDATION
from regard.errors import ConfigError, DataError
from regard.saved import DEFAULT_CAPTIONER
from regard.saved.bundle import find_bundle, read_config, shipped_models
from regard.text import WordTokenizer, caption_tokens, load_tokenizer
from regard.text.languages import language_named
from regard.text.word_tokenizer import fitting_minimum_count
from regard.training.recipe import Recipe

NOTHING = "nothing"
"""Stands for a model of random numbers where the name of one to begin from is asked for."""
FOREIGN = 0.3
"""Where a model knows less than this share of the words, its own words are dropped: the captions are in another
language."""


SPREADS = {"cider": 50.0, "bleu4": 20.0, "bleu": 10.0}
"""What two models' scores on n inputs differ by chance, × √n, as a standard deviation."""
USEFUL_PAIRS = 5_000
"""Fewer pairs teach a new translator hardly anything: 200 reached BLEU 1.7, 29,000 reach 38."""
_CAPTION_SEARCH = {"beam": 5, "max_length": 22, "length_normalisation": 0.7, "no_repeat": 2}
_TRANSLATION_SEARCH = {"beam": 5, "max_length": 80, "length_normalisation": 1.0, "no_repeat": 4}


@dataclass(frozen=True)
class Choice:
    """A recipe, and a line for each of its choices that says why."""

    recipe: Recipe
    reasons: tuple[str, ...]

    def commented(self) -> str:
        """The recipe as YAML with the reasons as comments."""
        values = self.recipe.model_dump(mode="json", exclude_unset=True)
        head = "".join(f"# {line}\n" for line in self.reasons)
        text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
        return head + "".join(f"{line}\n" for line in _with_comments(text.splitlines()))


_COMMENTS = {
    "folder": "a folder or a table, see docs/data.md",
    "minimum_count": "rarer words become <unk>; 1 learns all",
    "begin_from": "a trained model by name or folder; null for none",
    "surpass": "by how much the trained model must beat the one to begin from; less is chance",
    "keep_words": "whether its words stay that the data do not hold",
    "epochs": "regard train with --epochs goes on with more",
    "batch": "inputs a step; an image with all its captions is one",
    "tokens": "tokens a step",
    "patience": "stop after so many validations without a better score",
    "average": "decay of the running average of the weights, which is judged",
    "lr": "lower it if the loss becomes no number",
    "warmup": "steps to the full rate",
    "no_repeat": "say no run of so many words twice",
    "beam": "hypotheses of the search",
}


def _with_comments(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        comment = _COMMENTS.get(line.strip().lstrip("- ").partition(":")[0])
        yield f"{line}  # {comment}" if comment and not line.endswith(":") else line


def choose_recipe(
    path: Path, *, begin_from: str | None = None, source: str | None = None, target: str | None = None
) -> Choice:
    """A recipe for captioned images or for sentence pairs.

    Args:
        path: the data.
        begin_from: a model by name or folder, :data:`NOTHING`, or None for the one that ships for such data.
        source, target: language codes of sentence pairs; None where the data say it.

    Raises:
        DataError: the data cannot be used.
        ConfigError: they do not say which language becomes which.
        ModelError: there is no such model.
    """
    if find_format(path) is not None:
        return _for_captions(path, begin_from or DEFAULT_CAPTIONER)
    if not parallel_splits(path):
        raise DataError(
            f"{path}: holds no data in a known layout",
            allowed="captioned images, sentence pairs, or a recipe",
            remedy="regard data check says what is looked for, and docs/data.md shows it",
        )
    languages = _languages(path, source, target)
    return _for_pairs(path, languages, begin_from or _shipped_translator(languages) or NOTHING)


def run_name(path: Path) -> str:
    """What a run on these data is called: the name of the folder or file, in letters that a recipe allows."""
    return re.sub(r"[^a-z0-9]+", "-", path.resolve().stem.lower()).strip("-")[:60] or "data"


def _for_captions(path: Path, begin_from: str) -> Choice:
    collection = read_collection(path)
    train, validation = (collection.read(split, strict=False) for split in (TRAIN, VALIDATION))
    captions = [text for image in train for text in image.captions]
    minimum_count = fitting_minimum_count(len(captions))
    trained = begin_from != NOTHING
    shape = _shape(len(train), trained=trained)
    # words that all captions have in common count nothing in CIDEr, and of few captions they are what is to be learned
    metric = "bleu4" if trained and len(train) < FEW else "cider"
    surpass = _chance(metric, len(validation))
    keeps = not trained or _known_share(begin_from, train.items) >= FOREIGN
    values: dict[str, Any] = {
        "name": run_name(path),
        "data": {
            "format": "captions",
            "folder": str(path),
            "train": TRAIN,
            "validation": VALIDATION,
            "minimum_count": minimum_count,
        },
        "model": _model_of(begin_from) if trained else _new_captioner(len(train)),
        "begin_from": begin_from if trained else None,
        "keep_words": keeps,
        "metric": metric,
        "surpass": surpass if trained else 0.0,
        "phases": [shape.phase(lr=4e-4 if trained else 1e-3)],
        "search": _search_of(begin_from, no_repeat=2) if trained else _CAPTION_SEARCH,
    }
    drawn = f", drawn from them: {', '.join(collection.drawn)}" if collection.drawn else ""
    reasons = (
        f"{path}: {collection.format}, {len(train):,} photos to learn from, {len(validation):,} to judge by{drawn}",
        _beginning(begin_from, "" if keeps else ", without its words, since the captions are in another language"),
        f"words that stand {minimum_count} times or more are learned, which fits {len(captions):,} captions",
        shape.reason() + (_choosing(metric, surpass, begin_from) if trained else ""),
        "no two words are said twice in one caption (search.no_repeat)",
    )
    return Choice(_parsed(values), reasons)


def _for_pairs(path: Path, languages: tuple[str, str], begin_from: str) -> Choice:
    source, target = languages
    read = [read_parallel(path, split, source=source, target=target, strict=False) for split in (TRAIN, VALIDATION)]
    num_pairs, num_judged = len(read[0].without_empty()), len(read[1])
    trained = begin_from != NOTHING
    shape = _shape(num_pairs, trained=trained, pairs=True)
    size, surpass = _vocabulary_size(num_pairs), _chance("bleu", num_judged)
    values: dict[str, Any] = {
        "name": run_name(path),
        "data": {
            "format": "parallel",
            "folder": str(path),
            "source": source,
            "target": target,
            "codec": {"name": "subwords", "model": "bpe", "size": size},
        },
        "model": _model_of(begin_from) if trained else _new_translator(num_pairs),
        "begin_from": begin_from if trained else None,
        "surpass": surpass if trained else 0.0,
        "phases": [shape.phase(lr=5e-4 if trained else 2e-3)],
        "search": _search_of(begin_from, no_repeat=4) if trained else _TRANSLATION_SEARCH,
    }
    pieces = "its own pieces" if trained else f"{size:,} pieces of words, which fits {num_pairs:,} pairs"
    reasons = (
        f"{path}: {num_pairs:,} pairs to learn {source} to {target} from, {num_judged:,} to judge by",
        _beginning(begin_from, _warning(num_pairs) if not trained else ""),
        f"texts are read and written in {pieces}",
        shape.reason() + (_choosing("bleu", surpass, begin_from) if trained else ""),
        "no run of four pieces is said twice in one translation (search.no_repeat)",
    )
    return Choice(_parsed(values), reasons)


def _warning(num_pairs: int) -> str:
    if num_pairs >= USEFUL_PAIRS:
        return ""
    return f"; {num_pairs:,} pairs make no useful translator, which takes {USEFUL_PAIRS:,} at least"


def _choosing(metric: str, surpass: float, begin_from: str) -> str:
    return f"; the best by {metric}, if it has {surpass:g} more than {begin_from}"


def _chance(metric: str, count: int) -> float:
    """About one standard error of how much two models' scores differ on ``count`` inputs."""
    return round(SPREADS[metric] / math.sqrt(max(1, count)), 1)


def _search_of(name: str, *, no_repeat: int) -> dict[str, Any]:
    """How a model searches, and that it repeats no run of words."""
    search = read_config(find_bundle(name)).search
    return {**search.model_dump(mode="json", exclude_unset=True), "no_repeat": search.no_repeat or no_repeat}


def _parsed(values: dict[str, Any]) -> Recipe:
    return parse(Recipe, values, origin="the chosen recipe")


def _beginning(begin_from: str, remark: str) -> str:
    if begin_from == NOTHING:
        return f"begins from random numbers (--from NAME begins from a trained model){remark}"
    return f"begins from {begin_from}{remark} (--from {NOTHING} begins from random numbers)"


@dataclass(frozen=True)
class _Shape:
    """How a training is cut into steps."""

    count: int
    batch: int
    epochs: int
    validate_every: int
    trained: bool

    @property
    def steps(self) -> int:
        return self.epochs * -(-self.count // self.batch)

    @property
    def warmup(self) -> int:
        return max(1, min(400, self.steps // 10))

    def phase(self, *, lr: float) -> dict[str, Any]:
        """The settings of its one phase."""
        return {
            "objective": "cross_entropy",
            "epochs": self.epochs,
            "batch": self.batch,
            "label_smoothing": 0.1,
            # the average reaches back over a twentieth of the steps
            "average": round(min(0.998, max(0.8, 1 - 20 / self.steps)), 3),
            # a schedule that falls to zero learns most at its end
            "patience": None if self.trained else 8,
            "validate_every": self.validate_every,
            "optim": {"lr": lr, "warmup": self.warmup, "schedule": "cosine", "weight_decay": 0.01, "clip": 1.0},
        }

    def reason(self) -> str:
        """In a line."""
        return (
            f"{self.epochs} epochs of {-(-self.count // self.batch)} steps, {self.batch} inputs each, "
            f"{self.warmup} of {self.steps} steps to warm up"
        )


def _shape(count: int, *, trained: bool, pairs: bool = False) -> _Shape:
    """Small batches and many epochs for few inputs, so that there are steps enough."""
    batch = min(64 if pairs else 40, max(4, count // (16 if pairs else 12)))
    steps_an_epoch = -(-count // batch)
    wanted, most = (200, 24) if trained else ((1200, 60) if pairs else (600, 30))
    epochs = min(most, max(5 if trained else 8, -(-wanted // steps_an_epoch)))
    return _Shape(count, batch, epochs, validate_every=max(1, epochs // (8 if trained else 15)), trained=trained)


def _model_of(name: str) -> dict[str, Any]:
    return read_config(find_bundle(name)).model.model_dump(mode="json", exclude_unset=True)


def _known_share(name: str, images: Sequence[CaptionedImage]) -> float:
    tokenizer = load_tokenizer(find_bundle(name))
    assert isinstance(tokenizer, WordTokenizer), "captions are learned in words"
    words = [token for image in images for text in image.captions for token in caption_tokens(text)]
    return sum(word in tokenizer.vocabulary for word in words) / max(1, len(words))


def _new_captioner(num_images: int) -> dict[str, Any]:
    dim = 256 if num_images < 2_000 else 512
    decoder = {"embedding": dim, "hidden": dim, "attention": dim, "dropout": 0.4, "embedding_dropout": 0.2}
    encoder = {"name": "efficientnet_lite2", "size": 224, "folded": True}
    return {"encoder": encoder, "bridge": {"dim": dim}, "decoder": {"name": "attend", **decoder}}


def _new_translator(num_pairs: int) -> dict[str, Any]:
    small = num_pairs < 5_000
    embedding, hidden, dropout = (128, 192, 0.2) if small else (256, 384, 0.4)
    reads = {"embedding": embedding, "hidden": embedding, "cell": "gru", "dropout": 0.3 if not small else 0.2}
    writes = {"embedding": embedding, "hidden": hidden, "attention": embedding, "readout": embedding, "tied": True}
    return {
        "shared_embeddings": True,
        "encoder": {"name": "recurrent", **reads},
        "decoder": {"name": "rnnsearch", **writes, "dropout": dropout},
    }


def _vocabulary_size(num_pairs: int) -> int:
    return next((size for pairs, size in ((1_000, 600), (5_000, 1_500), (15_000, 4_000)) if num_pairs < pairs), 6_000)


def _shipped_translator(languages: tuple[str, str]) -> str | None:
    for name in shipped_models():
        if tuple(read_config(find_bundle(name)).languages or ()) == languages:
            return name
    return None


def _languages(path: Path, source: str | None, target: str | None) -> tuple[str, str]:
    """Which language becomes which: as asked for, or as the columns of a table stand."""
    found = list(dict.fromkeys(each for languages in parallel_splits(path).values() for each in languages))
    others = [each for each in found if each not in (source, target)]
    if source and target:
        return _code(source), _code(target)
    if len(found) == 2 and (source or target):
        return (_code(source), others[0]) if source else (others[0], _code(str(target)))
    raise ConfigError(
        f"{path}: does not say which language becomes which",
        allowed=", ".join(found) or "any two language codes",
        remedy="name them, such as --source en --target de",
    )


def _code(language: str) -> str:
    return language_named(language) or language
