"""Subwords: byte pair encoding and unigram pieces, over bytes, so that every text can be encoded.

A text is read in NFC with single spaces and its case kept (:func:`regard.text.words.normalise`). It is cut into the
words that people see, each with the space before it, so that a piece never reaches into two words; scripts written
without spaces are cut into characters. A word is spelled in bytes, and the model joins bytes into pieces; the 256 bytes
are always pieces themselves.

Sources: Sennrich et al. 2016 §3.2 (byte pair encoding), Kudo 2018 (unigram), Radford et al. 2019 §2.2 (over bytes, each
written as a printable character). The pieces are applied by HF ``tokenizers``.
"""

from __future__ import annotations

import codecs
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from pydantic import Field
from tokenizers import Regex, models, trainers
from tokenizers import Tokenizer as PieceModel
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InOrder

from regard.config import Settings
from regard.errors import ConfigError, ModelError, shown
from regard.files import read_json_file, write_json_file
from regard.text.tokenizer import Tokenizer
from regard.text.unigram import train_unigram
from regard.text.vocabulary import SPECIALS
from regard.text.words import WORD_PATTERN, normalise

if TYPE_CHECKING:
    from regard.annotations import Span

SubwordModel = Literal["bpe", "unigram"]

# a word with the space before it, each byte of it as one printable character
_PRE_TOKENIZER = InOrder(
    [
        Split(Regex(rf" ?(?:{WORD_PATTERN})"), behavior="isolated"),
        ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
_FIRST = len(SPECIALS)
SMALLEST_SIZE = _FIRST + 256


def _byte_symbols() -> dict[str, int]:
    """The printable character that stands for each byte: itself where it is printable, else one from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES = _byte_symbols()


@dataclass(frozen=True)
class Merges:
    """Byte pair encoding: neighbours that are joined, the most important pair first."""

    name: ClassVar[SubwordModel] = "bpe"
    pairs: tuple[tuple[str, str], ...]

    @property
    def pieces(self) -> list[str]:
        """The pieces in the order of their ids: the bytes, then what each merge makes."""
        return list(dict.fromkeys([*_BYTES, *(left + right for left, right in self.pairs)]))

    def build(self) -> models.Model:
        """The model that cuts words."""
        vocabulary = {piece: index for index, piece in enumerate(self.pieces)}
        return models.BPE(vocab=vocabulary, merges=list(self.pairs))

    def to_json(self) -> dict[str, Any]:
        """Plain data; a space stands between the two sides of a pair, and in no piece."""
        return {"merges": [f"{left} {right}" for left, right in self.pairs]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, origin: str) -> Merges:
        """The inverse of :meth:`to_json`.

        Raises:
            ModelError: the list is malformed, or joins pieces that do not exist.
        """
        lines = values.get("merges")
        if not isinstance(lines, list):
            raise ModelError(f"{origin}: holds no list of merges")
        known, pairs = set(_BYTES), []
        for number, line in enumerate(lines, start=1):
            left, _, right = line.partition(" ") if isinstance(line, str) else ("", "", "")
            if left not in known or right not in known:
                raise ModelError(f"{origin}: merge {number} does not join two known pieces: {line!r:.60}")
            known.add(left + right)
            pairs.append((left, right))
        return cls(tuple(pairs))


@dataclass(frozen=True)
class Scores:
    """Unigram: a log-probability per piece; a word is cut so that the sum of the scores is greatest."""

    name: ClassVar[SubwordModel] = "unigram"
    scores: tuple[tuple[str, float], ...]

    @property
    def pieces(self) -> list[str]:
        """The pieces in the order of their ids."""
        return [piece for piece, _ in self.scores]

    def build(self) -> models.Model:
        """The model that cuts words."""
        return models.Unigram(vocab=list(self.scores))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"scores": [[piece, score] for piece, score in self.scores]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, origin: str) -> Scores:
        """The inverse of :meth:`to_json`.

        Raises:
            ModelError: the list is malformed, holds a piece twice or lacks one of the 256 bytes.
        """
        rows = values.get("scores")
        if not isinstance(rows, list) or not all(_is_scored_piece(row) for row in rows):
            raise ModelError(f"{origin}: holds no list of pieces with scores")
        pieces = {piece for piece, _ in rows}
        if len(pieces) != len(rows) or not pieces.issuperset(_BYTES):
            raise ModelError(f"{origin}: a piece stands twice or a byte is missing in the list")
        return cls(tuple((piece, float(score)) for piece, score in rows))


def _is_scored_piece(row: object) -> bool:
    match row:
        case [str(piece), float() | int() as score]:
            return bool(piece) and _BYTES.keys() >= set(piece) and math.isfinite(score)
    return False


class SubwordSettings(Settings):
    """Settings of :class:`SubwordTokenizer`."""

    name: Literal["subwords"] = "subwords"
    model: SubwordModel = "bpe"
    size: int = Field(default=8000, ge=SMALLEST_SIZE, le=500_000)


class SubwordTokenizer(Tokenizer):
    """Pieces of words, down to bytes: nothing is unknown, and every text comes back as :meth:`normalise` gives it.

    Ids that end in the middle of a character spell U+FFFD there; all four specials spell nothing.

    Args:
        rules: how a word is cut, :class:`Merges` or :class:`Scores`.
    """

    kind = "subwords"
    file_name = "tokenizer.json"

    def __init__(self, rules: Merges | Scores) -> None:
        self.rules = rules
        self._bytes = [bytes(_BYTES[symbol] for symbol in piece) for piece in rules.pieces]
        self._model = PieceModel(rules.build())
        self._model.pre_tokenizer = _PRE_TOKENIZER

    @classmethod
    def train(cls, texts: Iterable[str], *, model: SubwordModel = "bpe", size: int = 8000) -> Self:
        """Learn pieces from ``texts``; give both sides of parallel data to learn joint pieces.

        The same texts in the same order give the same tokenizer.

        Args:
            texts: whole sentences.
            model: byte pair encoding or unigram.
            size: the greatest number of ids, the 4 specials and the 256 bytes included; small data give fewer.

        Raises:
            ConfigError: ``size`` has no room for the bytes.
        """
        if size < SMALLEST_SIZE:
            raise ConfigError(
                f"{size} subwords are too few", allowed=f"at least {SMALLEST_SIZE}, one per byte and special"
            )
        train = _train_merges if model == "bpe" else _train_scores
        return cls(train(texts, size - _FIRST))

    @property
    def size(self) -> int:
        return _FIRST + len(self._bytes)

    def spelled_words(self, text: str) -> list[str]:
        """The words of ``text``, each with the space before it, in the symbols that stand for bytes.

        A piece never reaches into two words, so the ids of a text are those of its words (:meth:`word_ids`).
        """
        plain = normalise(text).text
        return [word for word, _ in _PRE_TOKENIZER.pre_tokenize_str(f" {plain}")] if plain else []

    def word_ids(self, word: str) -> tuple[int, ...]:
        """The ids of one of :meth:`spelled_words`."""
        return tuple(self.piece_id(token.id) for token in self._model.model.tokenize(word))

    def piece_id(self, place: int) -> int:
        """The id of the piece at ``place`` in the list of pieces, behind the specials."""
        return _FIRST + place

    def _pieces(self, text: str) -> tuple[list[int], list[Span]]:
        normalised = normalise(text)
        if not normalised.text:
            return [], []
        encoding = self._model.encode(f" {normalised.text}", add_special_tokens=False)
        # offsets count the space that every first word is given
        spans = [normalised.span(max(0, start - 1), end - 1) for start, end in encoding.offsets]
        return [_FIRST + index for index in encoding.ids], spans

    def _spell(self, ids: Sequence[int]) -> tuple[str, list[Span | None]]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        parts: list[str] = []
        spans: list[Span | None] = []
        length = 0
        for token in ids:
            if token < _FIRST:
                spans.append(None)
                continue
            spelled = decoder.decode(self._bytes[token - _FIRST])
            spelled = spelled if length else spelled.removeprefix(" ")
            spans.append((length, length + len(spelled)))
            parts.append(spelled)
            length += len(spelled)
        parts.append(decoder.decode(b"", final=True))
        return "".join(parts), spans

    def save(self, folder: Path) -> None:
        values = {"version": 1, "kind": self.kind, "model": self.rules.name, **self.rules.to_json()}
        write_json_file(folder / self.file_name, values)

    @classmethod
    def load(cls, folder: Path) -> Self:
        path = folder / cls.file_name
        values = read_json_file(path, versions=[1])
        kinds: dict[str, type[Merges | Scores]] = {Merges.name: Merges, Scores.name: Scores}
        rules = kinds.get(str(values.get("model")))
        if values.get("kind") != cls.kind or rules is None:
            raise ModelError(
                f"{path}: is of kind {shown(values.get('kind'))} with model {shown(values.get('model'))}",
                allowed=f"{cls.kind} with model {' or '.join(get_args(SubwordModel))}",
            )
        return cls(rules.from_json(values, origin=str(path)))


def _train_merges(texts: Iterable[str], num_pieces: int) -> Merges:
    learner = PieceModel(models.BPE())
    learner.pre_tokenizer = _PRE_TOKENIZER
    trainer = trainers.BpeTrainer(
        vocab_size=num_pieces, min_frequency=2, initial_alphabet=list(_BYTES), show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator((f" {normalise(text).text}" for text in texts), trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return Merges(tuple((left, right) for left, right in merges))


def _train_scores(texts: Iterable[str], num_pieces: int) -> Scores:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in _PRE_TOKENIZER.pre_tokenize_str(f" {normalise(text).text}"))
    return Scores(tuple(train_unigram(counts, alphabet=list(_BYTES), size=num_pieces)))
