"""Tokenizers learned from texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from regard.text.subwords import SubwordSettings, SubwordTokenizer
from regard.text.tokenizer import Tokenizer
from regard.text.word_tokenizer import CharacterSettings, CharacterTokenizer, WordSettings, WordTokenizer

TokenizerSettings = Annotated[WordSettings | CharacterSettings | SubwordSettings, Field(discriminator="name")]


def train_tokenizer(settings: TokenizerSettings, texts: Iterable[str]) -> Tokenizer:
    """The tokenizer that ``settings`` describe, learned from ``texts``; the same texts give the same tokenizer."""
    match settings:
        case WordSettings(rule=rule, minimum_count=minimum_count, maximum_size=maximum_size):
            return WordTokenizer.train(texts, rule=rule, minimum_count=minimum_count, maximum_size=maximum_size)
        case CharacterSettings(minimum_count=minimum_count):
            return CharacterTokenizer.train(texts, minimum_count=minimum_count)
        case SubwordSettings(model=model, size=size):
            return SubwordTokenizer.train(texts, model=model, size=size)
