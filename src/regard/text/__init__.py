"""Text: words and subwords, vocabularies, and the tokenizers that turn text into ids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regard.registry import lazy_names

if TYPE_CHECKING:
    from regard.text.captions import caption_tokens
    from regard.text.lexicon import Lexicon
    from regard.text.loading import load_tokenizer
    from regard.text.subwords import SubwordSettings, SubwordTokenizer
    from regard.text.tokenizer import Encoded, Tokenizer, WordPieces, group_pieces, merge_weights
    from regard.text.training import TokenizerSettings, train_tokenizer
    from regard.text.vocabulary import Vocabulary
    from regard.text.word_tokenizer import CharacterSettings, CharacterTokenizer, WordSettings, WordTokenizer
    from regard.text.words import split_words

__all__ = [
    "CharacterSettings",
    "CharacterTokenizer",
    "Encoded",
    "Lexicon",
    "SubwordSettings",
    "SubwordTokenizer",
    "Tokenizer",
    "TokenizerSettings",
    "Vocabulary",
    "WordPieces",
    "WordSettings",
    "WordTokenizer",
    "caption_tokens",
    "group_pieces",
    "load_tokenizer",
    "merge_weights",
    "split_words",
    "train_tokenizer",
]

__getattr__ = lazy_names(
    __name__,
    {
        "CharacterTokenizer": "regard.text.word_tokenizer",
        "CharacterSettings": "regard.text.word_tokenizer",
        "TokenizerSettings": "regard.text.training",
        "Encoded": "regard.text.tokenizer",
        "Lexicon": "regard.text.lexicon",
        "SubwordTokenizer": "regard.text.subwords",
        "SubwordSettings": "regard.text.subwords",
        "Tokenizer": "regard.text.tokenizer",
        "Vocabulary": "regard.text.vocabulary",
        "WordTokenizer": "regard.text.word_tokenizer",
        "WordPieces": "regard.text.tokenizer",
        "WordSettings": "regard.text.word_tokenizer",
        "caption_tokens": "regard.text.captions",
        "group_pieces": "regard.text.tokenizer",
        "load_tokenizer": "regard.text.loading",
        "merge_weights": "regard.text.tokenizer",
        "split_words": "regard.text.words",
        "train_tokenizer": "regard.text.training",
    },
)
