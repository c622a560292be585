"""Text: words and subwords, vocabularies, and the codecs that turn text into ids and back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from regard.errors import ModelError
from regard.files import read_json_file
from regard.text.captions import caption_tokens
from regard.text.lexicon import Lexicon
from regard.text.subwords import SubwordCodec, SubwordSettings
from regard.text.tokenizer import Encoded, TextCodec, WordPieces, group_pieces, merge_weights
from regard.text.vocabulary import Vocabulary
from regard.text.word_tokenizer import CharacterCodec, CharacterSettings, WordCodec, WordSettings
from regard.text.words import split_words

CodecSettings = Annotated[WordSettings | CharacterSettings | SubwordSettings, Field(discriminator="name")]

_CODECS: tuple[type[TextCodec], ...] = (WordCodec, CharacterCodec, SubwordCodec)


def train_codec(settings: CodecSettings, texts: Iterable[str]) -> TextCodec:
    """The codec that ``settings`` describe, learned from ``texts``; the same texts give the same codec."""
    match settings:
        case WordSettings(rule=rule, minimum_count=minimum_count, maximum_size=maximum_size):
            return WordCodec.train(texts, rule=rule, minimum_count=minimum_count, maximum_size=maximum_size)
        case CharacterSettings(minimum_count=minimum_count):
            return CharacterCodec.train(texts, minimum_count=minimum_count)
        case SubwordSettings(model=model, size=size):
            return SubwordCodec.train(texts, model=model, size=size)


def load_codec(folder: Path) -> TextCodec:
    """The codec that was saved in ``folder``, of whatever kind.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    for codec in _CODECS:
        path = folder / codec.file_name
        if os.path.lexists(path) and read_json_file(path, versions=[1]).get("kind") == codec.kind:
            return codec.load(folder)
    files = " or ".join(sorted({codec.file_name for codec in _CODECS}))
    kinds = ", ".join(codec.kind for codec in _CODECS)
    raise ModelError(f"{folder}: holds no codec that is known here", allowed=f"{files} of one of the kinds {kinds}")


__all__ = [
    "CharacterCodec",
    "CharacterSettings",
    "CodecSettings",
    "Encoded",
    "Lexicon",
    "SubwordCodec",
    "SubwordSettings",
    "TextCodec",
    "Vocabulary",
    "WordCodec",
    "WordPieces",
    "WordSettings",
    "caption_tokens",
    "group_pieces",
    "load_codec",
    "merge_weights",
    "split_words",
    "train_codec",
]
