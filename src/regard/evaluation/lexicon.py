"""A lexicon for a saved translator: learned from sentence pairs, stored beside the model, and held against other pairs.

A translator that has one can write each sentence in its shortlist, see :mod:`regard.text.lexicon`.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regard.data.encoding import EncodedPairs, encode_pairs
from regard.data.parallel import read_parallel
from regard.errors import DataError, ModelError
from regard.files import new_folder, resolve_folder
from regard.saved.bundle import CARD, CONFIG, SOURCE, find_bundle, read_config
from regard.saved.manifest import write_manifest
from regard.text import Lexicon, Tokenizer, load_tokenizer
from regard.text.lexicon import FREQUENT, MOST, learn_translations

_SECTION = re.compile(r"\n+## Shortlist\n.*?(?=\n## |\Z)", re.DOTALL)


@dataclass(frozen=True)
class ListSizes:
    """How long shortlists are.

    Attributes:
        most: how many target pieces each source piece adds at most.
        frequent: how many of the most frequent target pieces stand in every shortlist.
    """

    most: int = MOST
    frequent: int = FREQUENT


@dataclass(frozen=True)
class Coverage:
    """What shortlists leave of the given translations of a split.

    Attributes:
        split: its name.
        covered: the share of their pieces that stand in the shortlists of their sentences.
        length: how many pieces a shortlist has in the mean.
    """

    split: str
    covered: float
    length: float


def add_lexicon(
    model: str | Path, data: Path, output: Path, *, split: str, check: str | None = None, sizes: ListSizes | None = None
) -> Coverage | None:
    """Write a model with a lexicon, in place of a model that lies there, which may be the same.

    Args:
        model: a translator, as :func:`regard.load` takes it.
        data: a folder of parallel sentences.
        output: the folder to write.
        split: the pairs to learn from, those that the model learned from.
        check: a split to hold the lexicon against, before it is written.
        sizes: of shortlists.

    Returns:
        What was found on the split ``check``, if any.

    Raises:
        ModelError: the model cannot be used or is no translator; the folder cannot be written or holds something else.
        DataError: the data cannot be used.
    """
    sizes, folder = sizes or ListSizes(), resolve_folder(find_bundle(model))
    if output.exists() and not (output / CONFIG).is_file():
        raise ModelError(f"{output}: is there already and is no model", remedy="choose another folder")
    if folder.resolve() in output.resolve().parents:
        raise ModelError(f"{output}: lies in the model itself", remedy="choose another folder, or that of the model")
    reads, writes = _tokenizers(folder)
    pairs = _pairs(folder, data, split)
    found = learn_translations(pairs.sources, pairs.targets)
    lexicon = Lexicon.choose(
        found, pairs.targets, reads=reads.size, writes=writes.size, most=sizes.most, frequent=sizes.frequent
    )
    coverage = None if check is None else _coverage(lexicon, _pairs(folder, data, check), check)
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    origin = f"the {len(pairs):,} pairs of the split `{split}` of `{data.name}`"
    with new_folder(output) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        lexicon.save(temporary)
        (temporary / CARD).write_text(_with_section(text, origin, sizes, coverage), encoding="utf-8")
        write_manifest(temporary)
    return coverage


def _tokenizers(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """Of what the model reads and of what it writes."""
    config = read_config(folder)
    if config.languages is None:
        raise ModelError(f"{folder}: is a captioner", allowed="a model that translates sentences")
    tokenizer = load_tokenizer(folder)
    return load_tokenizer(folder / SOURCE) if config.own_source_codec else tokenizer, tokenizer


def _pairs(folder: Path, data: Path, split: str) -> EncodedPairs:
    languages, (reads, writes) = read_config(folder).languages, _tokenizers(folder)
    assert languages is not None, "a translator has languages"
    pairs = read_parallel(data, split, source=languages[0], target=languages[1]).without_empty()
    if not len(pairs):
        raise DataError(f"{pairs.report}: nothing to learn from")
    return encode_pairs(pairs, source=reads, target=writes)


def _coverage(lexicon: Lexicon, pairs: EncodedPairs, split: str) -> Coverage:
    lengths: list[int] = []
    covered: list[bool] = []
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        shortlist = np.union1d(lexicon.shared, lexicon.becomes(source))
        lengths.append(len(shortlist))
        covered.extend(np.isin(target, shortlist).tolist())
    return Coverage(split, float(np.mean(covered)), float(np.mean(lengths)))


def _with_section(card: str, origin: str, sizes: ListSizes, coverage: Coverage | None) -> str:
    """The card with what it says of the lexicon, in place of what it said."""
    text = (
        f"`lexicon.safetensors` was learned from {origin} (IBM model 1). With `--shortlist` a sentence is written in "
        f"what its pieces most probably become, at most {sizes.most} each, and in the {sizes.frequent:,} most "
        "frequent pieces."
    )
    if coverage is not None:
        text += (
            f" On the split `{coverage.split}` these are {coverage.length:,.0f} pieces a sentence in the mean, and "
            f"{coverage.covered:.1%} of the pieces of the given translations are among them."
        )
    return f"{_SECTION.sub('', card).rstrip()}\n\n## Shortlist\n\n{text}\n"
