"""Tokenizers learned from texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from regard.text.subwords import SubwordCodec, SubwordSettings
from regard.text.tokenizer import TextCodec
from regard.text.word_tokenizer import CharacterCodec, CharacterSettings, WordCodec, WordSettings

CodecSettings = Annotated[WordSettings | CharacterSettings | SubwordSettings, Field(discriminator="name")]


def train_codec(settings: CodecSettings, texts: Iterable[str]) -> TextCodec:
    """The codec that ``settings`` describe, learned from ``texts``; the same texts give the same codec."""
    match settings:
        case WordSettings(rule=rule, minimum_count=minimum_count, maximum_size=maximum_size):
            return WordCodec.train(texts, rule=rule, minimum_count=minimum_count, maximum_size=maximum_size)
        case CharacterSettings(minimum_count=minimum_count):
            return CharacterCodec.train(texts, minimum_count=minimum_count)
        case SubwordSettings(model=model, size=size):
            return SubwordCodec.train(texts, model=model, size=size)
