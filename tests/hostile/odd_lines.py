"""Odd lines: every code point in three contexts, and random texts of what scripts and encodings have to offer."""

from __future__ import annotations

import random
import sys

from outcome import Outcomes, run_here

from regard.pipeline.segments import segment_source
from regard.saved.bundle import SHIPPED
from regard.text import SubwordTokenizer, WordTokenizer, load_tokenizer

CONTEXTS = ("a{}\u0301", " {}{}x.", "\u1100{}\u0f73")
PIECES = (
    *"aAeßıİſ.,!?'’\"-–—…/@#&<>()[]{}_*+=:;%$0123456789",
    *"\u0300\u0301\u0316\u0345\u0f71\u0f73\u0f75\u0f81\u1100\u1161\u11a8\u0344\u0340\u0341\u09be\u0dcf",
    *"\u00a0\u2028\u2029\u0085\u200b\u200d\u200c\ufeff\u202e\u2066\ufffd\x00\x1b\x07\r\n\t",
    *"犬が각\u0628\u05d0\u0915\u094d\u0e01\U0001f469\U0001f1e9\U0001f3fb\U000e0061\U00010000\U0010ffff",
    *("http://", "www.", "n't", "U.S.", "&amp;", "e.g.", "l'", "  ", "</s>", "<unk>", "don't "),
    "\ud800",
)


def attack_code_points(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """Up to ``count`` code points, spread evenly over all of them, each in every context."""
    tokenizers = _tokenizers()
    every = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    for code in every[:: max(1, len(every) // count)]:
        for context in CONTEXTS:
            text = context.format(chr(code), chr(code))
            run_here(
                lambda text=text: [read(tokenizer, text) for tokenizer in tokenizers],
                f"U+{code:04X} {context!r}",
                outcomes,
            )


def attack_lines(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """``count`` random texts: most short, some of one thing again and again."""
    tokenizers = _tokenizers()
    for _ in range(count):
        if chance.random() < 0.02:
            text = "".join(chance.choices(PIECES, k=chance.randint(1, 3))) * chance.randint(1, 3000)
        else:
            text = "".join(chance.choices(PIECES, k=int(chance.expovariate(1 / 12))))
        tokenizer = chance.choice(tokenizers)
        run_here(lambda text=text, tokenizer=tokenizer: read(tokenizer, text), f"{tokenizer.kind} {text!a}", outcomes)


def read(tokenizer: SubwordTokenizer | WordTokenizer, text: str) -> None:
    """What is done with a line before it is translated; pieces stand for what they stand for."""
    source = segment_source(text, tokenizer, longest=40)
    for word in source.words:
        assert 0 <= word.span[0] <= word.span[1] <= len(text), "a word lies in its text"
    tokenizer.decode([each for segment in source.segments for each in segment.ids])


def _tokenizers() -> list[SubwordTokenizer | WordTokenizer]:
    plain = WordTokenizer.train(["A dog runs on the beach ."] * 2, rule="plain")
    loaded = [load_tokenizer(SHIPPED / name) for name in ("multi30k-en-de", "flickr8k")]
    return [*(each for each in loaded if isinstance(each, SubwordTokenizer | WordTokenizer)), plain]
