"""Text: words and subwords, vocabularies, and the codecs that turn text into ids and back."""

from __future__ import annotations

from regard.text.codec import Encoded, TextCodec, WordPieces, group_pieces, merge_weights
from regard.text.listed import CharacterCodec, WordCodec
from regard.text.vocabulary import Vocabulary
from regard.text.words import caption_tokens, split_words

__all__ = [
    "CharacterCodec",
    "Encoded",
    "TextCodec",
    "Vocabulary",
    "WordCodec",
    "WordPieces",
    "caption_tokens",
    "group_pieces",
    "merge_weights",
    "split_words",
]
