"""Odd lines: every code point in three contexts, and random texts of what scripts and encodings have to offer."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from functools import partial

from outcome import Outcomes, chance_of, try_here

from regard.cli.report import json_line
from regard.pipeline.segments import segment_source
from regard.saved.bundle import SHIPPED
from regard.text import Tokenizer, WordTokenizer, load_tokenizer
from regard.text.source_words import SourceWords

CONTEXTS = ("a{}\u0301", " {}{}x.", "\u1100{}\u0f73")
CODE_POINTS = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
NUM_CODE_POINTS = len(CONTEXTS) * len(CODE_POINTS)
PIECES = (
    *"aAeßıİſ.,!?'’\"-–—…/@#&<>()[]{}_*+=:;%$0123456789",
    *"\u0300\u0301\u0316\u0345\u0f71\u0f73\u0f75\u0f81\u1100\u1161\u11a8\u0344\u0340\u0341\u09be\u0dcf",
    *"\u00a0\u2028\u2029\u0085\u200b\u200d\u200c\ufeff\u202e\u2066\ufffd\x00\x1b\x07\r\n\t",
    *"犬が각\u0628\u05d0\u0915\u094d\u0e01\U0001f469\U0001f1e9\U0001f3fb\U000e0061\U00010000\U0010ffff",
    *("http://", "www.", "n't", "U.S.", "&amp;", "e.g.", "l'", "  ", "</s>", "<unk>", "don't "),
    "\ud800",
)
BLOCKS = (
    *((0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x700), (0x900, 0xE00), (0xE00, 0x1000)),
    *((0x1100, 0x1200), (0x1780, 0x1800), (0x2000, 0x2070), (0x3000, 0x3100), (0x4E00, 0x4F00), (0xAC00, 0xAD00)),
    *((0xFB00, 0xFF00), (0x1D400, 0x1D500), (0x1F300, 0x1F700), (0xE0000, 0xE0080), (0, 0x110000)),
)
"""Scripts, marks, signs and what is no script, of which mixed texts are made."""
SENTENCE = "A dog runs on the beach ."
Reader = Callable[[str], object]


def attack_code_points(numbers: range, outcomes: Outcomes) -> None:
    """Every code point in each context."""
    readers = _readers()
    for number in numbers:
        code, context = CODE_POINTS[number // len(CONTEXTS)], CONTEXTS[number % len(CONTEXTS)]
        text = context.format(chr(code), chr(code))
        try_here(lambda text=text: [read(text) for read in readers], f"U+{code:04X} {context!r}", outcomes)


def attack_lines(numbers: range, outcomes: Outcomes) -> None:
    """Random texts: most short, some of one thing again and again, some of mixed scripts."""
    readers = _readers()
    for number in numbers:
        chance = chance_of("lines", number)
        text = _random_text(chance)
        read = chance.choice(readers)
        try_here(lambda text=text, read=read: read(text), f"{number} {text!a:.100}", outcomes)


def _random_text(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.02:
        return "".join(chance.choices(PIECES, k=chance.randint(1, 3))) * chance.randint(1, 3000)
    if kind < 0.3:
        blocks = chance.choices(BLOCKS, k=3)
        return "".join(chr(chance.randrange(*chance.choice(blocks))) for _ in range(int(chance.expovariate(1 / 15))))
    return "".join(chance.choices(PIECES, k=int(chance.expovariate(1 / 12))))


def _readers() -> list[Reader]:
    """All that a text passes before a model reads it, for each kind of tokenizer."""
    translator, captioner = SHIPPED / "multi30k-en-de", SHIPPED / "flickr8k"
    plain = WordTokenizer.train([SENTENCE] * 2, rule="plain")
    return [
        partial(_read_source, tokenizer=load_tokenizer(translator), known=SourceWords.load(translator)),
        partial(_read_source, tokenizer=load_tokenizer(captioner), known=None),
        partial(_read_source, tokenizer=plain, known=None),
    ]


def _read_source(text: str, *, tokenizer: Tokenizer, known: SourceWords | None) -> None:
    source = segment_source(text, tokenizer, longest=40, known=known)
    for word in source.words:
        assert 0 <= word.span[0] <= word.span[1] <= len(text), "a word lies in its text"
    written = tokenizer.decode([each for segment in source.segments for each in segment.ids])
    assert json.loads(json_line(written)) == written, "JSON holds the text"
    assert len(json_line(written).splitlines()) == 1, "a line is one line"
