"""Text: words and subwords, vocabularies, and the codecs that turn text into ids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regard.registry import lazy_names

if TYPE_CHECKING:
    from regard.text.captions import caption_tokens
    from regard.text.lexicon import Lexicon
    from regard.text.loading import load_codec
    from regard.text.subwords import SubwordCodec, SubwordSettings
    from regard.text.tokenizer import Encoded, TextCodec, WordPieces, group_pieces, merge_weights
    from regard.text.training import CodecSettings, train_codec
    from regard.text.vocabulary import Vocabulary
    from regard.text.word_tokenizer import CharacterCodec, CharacterSettings, WordCodec, WordSettings
    from regard.text.words import split_words

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

__getattr__ = lazy_names(
    __name__,
    {
        "CharacterCodec": "regard.text.word_tokenizer",
        "CharacterSettings": "regard.text.word_tokenizer",
        "CodecSettings": "regard.text.training",
        "Encoded": "regard.text.tokenizer",
        "Lexicon": "regard.text.lexicon",
        "SubwordCodec": "regard.text.subwords",
        "SubwordSettings": "regard.text.subwords",
        "TextCodec": "regard.text.tokenizer",
        "Vocabulary": "regard.text.vocabulary",
        "WordCodec": "regard.text.word_tokenizer",
        "WordPieces": "regard.text.tokenizer",
        "WordSettings": "regard.text.word_tokenizer",
        "caption_tokens": "regard.text.captions",
        "group_pieces": "regard.text.tokenizer",
        "load_codec": "regard.text.loading",
        "merge_weights": "regard.text.tokenizer",
        "split_words": "regard.text.words",
        "train_codec": "regard.text.training",
    },
)
