"""Tokenizers whose tokens are listed in a vocabulary: whole words and single characters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from pydantic import Field

from regard.config import Settings
from regard.errors import ModelError, shown
from regard.files import read_json_file, write_json_file
from regard.text.captions import BRACKETS, caption_tokens
from regard.text.tokenizer import Tokenizer, WordPieces
from regard.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary, count_words
from regard.text.words import normalise, split_words, written_without_spaces

if TYPE_CHECKING:
    from regard.annotations import Span

WordRule = Literal["caption", "plain"]
"""What a word is: ``caption`` drops case and punctuation, ``plain`` keeps everything."""

_SILENT = (PAD, BOS, EOS)
_REACH = 1000
_ENCLITICS = frozenset(["'s", "n't", "'m", "'d", "'ll", "'re", "'ve"])
"""Caption tokens that are written together with the word before them."""

_BRACKETS = {name: bracket for bracket, name in BRACKETS.items()}


FITTING_COUNTS = ((2_000, 1), (10_000, 2), (20_000, 3))
"""Below so many training texts a word must stand in them so often; with more, :data:`USUAL_COUNT` times."""
USUAL_COUNT = 5


def fitting_minimum_count(num_texts: int) -> int:
    """How often a word must stand in so many training texts to be learned: what stands once in few is not rare."""
    return next((count for texts, count in FITTING_COUNTS if num_texts < texts), USUAL_COUNT)


class WordSettings(Settings):
    """Settings of :class:`WordTokenizer`; rarer words than ``minimum_count`` become ``<unk>``."""

    name: Literal["words"] = "words"
    rule: WordRule = "caption"
    minimum_count: int = Field(default=1, ge=1, le=1_000_000)
    maximum_size: int | None = Field(default=None, ge=5, le=1_000_000)


class CharacterSettings(Settings):
    """Settings of :class:`CharacterTokenizer`; rarer characters than ``minimum_count`` become ``<unk>``."""

    name: Literal["characters"] = "characters"
    minimum_count: int = Field(default=1, ge=1, le=1_000_000)


class VocabularyTokenizer(Tokenizer):
    """A tokenizer that looks tokens up in a vocabulary; what is not in it becomes ``<unk>``."""

    file_name = "vocabulary.json"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @property
    def size(self) -> int:
        return len(self.vocabulary)

    def _pieces(self, text: str) -> tuple[list[int], list[Span]]:
        tokens = self._tokens(text)
        return [self.vocabulary.id(token) for token, _ in tokens], [span for _, span in tokens]

    @abstractmethod
    def _tokens(self, text: str) -> list[tuple[str, Span]]:
        """The tokens of ``text``, in the vocabulary or not, each with its span in the text as typed."""

    def _spell(self, ids: Sequence[int]) -> tuple[str, list[Span | None]]:
        parts: list[str] = []
        spans: list[Span | None] = []
        length, before = 0, ""
        for token in ids:
            if token in _SILENT:
                spans.append(None)
                continue
            spelled = self._spelling(token, before) if length else self._spelling(token, before).lstrip(" ")
            before = spelled
            spans.append((length + len(spelled) - len(spelled.lstrip(" ")), length + len(spelled)))
            parts.append(spelled)
            length += len(spelled)
        return "".join(parts), spans

    @abstractmethod
    def _spelling(self, token: int, before: str) -> str:
        """What an id adds to a text that ends in ``before``, with the space between them if there is one."""

    def save(self, folder: Path) -> None:
        values = {"version": 1, "kind": self.kind, **self._options(), **self.vocabulary.to_json()}
        write_json_file(folder / self.file_name, values)

    def _options(self) -> dict[str, str]:
        return {}

    @classmethod
    def load(cls, folder: Path) -> Self:
        path = folder / cls.file_name
        values = read_json_file(path, versions=[1])
        if values.get("kind") != cls.kind:
            raise ModelError(f"{path}: is of kind {shown(values.get('kind'))}", allowed=cls.kind)
        return cls._restore(Vocabulary.from_json(values, origin=str(path)), values, path)

    @classmethod
    def _restore(cls, vocabulary: Vocabulary, values: Mapping[str, Any], path: Path) -> Self:
        return cls(vocabulary)


class WordTokenizer(VocabularyTokenizer):
    """One id per word.

    With the rule ``caption`` a text is read as :func:`caption_tokens` and spelled as people write it. With
    ``plain`` it is read as :func:`split_words`, and a word remembers whether a space stood before it (" dog" is another
    token than "dog"), so that a text of known words comes back exactly, up to white space and NFC.
    """

    kind = "words"

    def __init__(self, vocabulary: Vocabulary, *, rule: WordRule = "caption") -> None:
        super().__init__(vocabulary)
        self.rule: WordRule = rule

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        *,
        rule: WordRule = "caption",
        minimum_count: int = 1,
        maximum_size: int | None = None,
    ) -> Self:
        """A tokenizer for the words of ``texts`` that occur at least ``minimum_count`` times."""
        counts = count_words([token for token, _ in _words(text, rule)] for text in texts)
        vocabulary = Vocabulary.build(counts, minimum_count=minimum_count, maximum_size=maximum_size)
        return cls(vocabulary, rule=rule)

    def extended(self, texts: Iterable[str], *, minimum_count: int = 1, keep_words: bool = True) -> Self:
        """A tokenizer with more words behind its own: those that occur ``minimum_count`` times or more in ``texts``.

        Args:
            texts: what is to be learned.
            minimum_count: rarer words are not added.
            keep_words: keep words that ``texts`` do not hold.
        """
        counts = count_words([token for token, _ in _words(text, self.rule)] for text in texts)
        own = [word for word in self.vocabulary.entries[len(SPECIALS) :] if keep_words or word in counts]
        added = Vocabulary.build(counts, minimum_count=minimum_count).entries[len(SPECIALS) :]
        return type(self)(Vocabulary([*own, *(word for word in added if word not in self.vocabulary)]), rule=self.rule)

    def _tokens(self, text: str) -> list[tuple[str, Span]]:
        return _words(text, self.rule)

    def _spelling(self, token: int, before: str) -> str:
        word = self.vocabulary.word(token)
        if self.rule == "caption":
            return _written(word, before)
        return f" {word}" if token == UNK else word

    def words(self, ids: Sequence[int]) -> list[WordPieces]:
        """One word per id, the silent specials aside."""
        text, spans = self._spell(ids)
        return [
            WordPieces(text[span[0] : span[1]], (position,), span)
            for position, span in enumerate(spans)
            if span is not None
        ]

    def normalise(self, text: str) -> str:
        """For captions also lower case and no punctuation."""
        if self.rule == "plain":
            return super().normalise(text)
        words = caption_tokens(text)
        return "".join(_written(word, before) for word, before in zip(words, ["", *words], strict=False)).lstrip(" ")

    def unknown_share(self, texts: Iterable[str]) -> float:
        """How much of the words of ``texts`` the vocabulary does not hold, from 0 to 1; 0 where there are none."""
        known = [token in self.vocabulary for text in texts for token, _ in self._tokens(text)]
        return known.count(False) / len(known) if known else 0.0

    def _options(self) -> dict[str, str]:
        return {"rule": self.rule}

    @classmethod
    def _restore(cls, vocabulary: Vocabulary, values: Mapping[str, Any], path: Path) -> Self:
        rule = values.get("rule", "")
        if rule not in get_args(WordRule):
            raise ModelError(f"{path}: has the word rule {shown(rule)}", allowed=", ".join(get_args(WordRule)))
        return cls(vocabulary, rule=rule)


class CharacterTokenizer(VocabularyTokenizer):
    """One id per character of the text in NFC with single spaces."""

    kind = "characters"

    @classmethod
    def train(cls, texts: Iterable[str], *, minimum_count: int = 1) -> Self:
        """A tokenizer for the characters of ``texts`` that occur at least ``minimum_count`` times."""
        return cls(Vocabulary.build(count_words(normalise(text).text for text in texts), minimum_count=minimum_count))

    def _tokens(self, text: str) -> list[tuple[str, Span]]:
        normalised = normalise(text)
        return [(character, normalised.span(i, i + 1)) for i, character in enumerate(normalised.text)]

    def _spelling(self, token: int, before: str) -> str:
        return self.vocabulary.word(token)


def _written(token: str, before: str) -> str:
    """A caption token as people write it behind ``before``, with the space between them if there is one."""
    if before and written_without_spaces(before[-1]) and written_without_spaces(token[0]):
        return token
    return token if token in _ENCLITICS else f" {_BRACKETS.get(token, token)}"


def _words(text: str, rule: WordRule) -> list[tuple[str, Span]]:
    return _caption_words(text) if rule == "caption" else _plain_words(text)


def _plain_words(text: str) -> list[tuple[str, Span]]:
    normalised = normalise(text)
    words = []
    for start, end in split_words(normalised.text):
        spaced = start == 0 or normalised.text[start - 1] == " "
        words.append((" " * spaced + normalised.text[start:end], normalised.span(start, end)))
    return words


def _caption_words(text: str) -> list[tuple[str, Span]]:
    """Caption tokens and where they stand; a token that the rule rewrote stands, without width, after the last one."""
    normalised = normalise(text)
    plain = normalised.text
    lowered = "".join(character.lower() if len(character.lower()) == 1 else character for character in plain)
    words, cursor = [], 0
    for token in caption_tokens(plain):
        # not further than any caption's punctuation reaches: a rewritten token is not searched for in a whole book
        found = lowered.find(token, cursor, cursor + _REACH + len(token))
        start, end = (cursor, cursor) if found < 0 else (found, found + len(token))
        words.append((token, normalised.span(start, end)))
        cursor = end
    return words
