"""A decoder small enough to search by hand: random scores that depend on the input, the step and two tokens."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import Decoder, State, Step, Trace
from regard.search import SpecialTokens

TOKENS = SpecialTokens(bos=1, eos=0, forbidden=(1,))


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """This file, because test files cannot import one another."""
    return sys.modules[__name__]


class ToyDecoder(Decoder):
    """``logits = table[input, step, last but one, last]``; the weights name the two tokens and the step they follow.

    The first number of an input's annotations is its index in the table. A row's state is its last two tokens, so a
    row that follows the wrong parent says something else.
    """

    def __init__(self, *, inputs: int, steps: int, vocabulary_size: int, seed: int = 0, scale: float = 2.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shape = (inputs, steps, vocabulary_size, vocabulary_size, vocabulary_size)
        self.table = torch.randn(shape, generator=generator) * scale
        self.vocabulary_size = vocabulary_size
        self.rows_seen: list[tuple[int, ...]] = []
        self.eval()

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        memory = Memory(annotations.values, annotations.values, annotations.mask)
        return State(memory, {"last": torch.zeros(len(annotations), rows, dtype=torch.long)})

    def step(self, state: State, tokens: Tensor) -> Step:
        self.rows_seen.append(tuple(tokens.shape))
        inputs = state.memory.values[:, :1, 0].long()
        logits = self.table[inputs, state.length, state.rows["last"], tokens]
        weights = expected_weights(state.length, state.rows["last"], tokens)
        return Step(logits, State(state.memory, {"last": tokens}, state.length + 1), weights)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        raise NotImplementedError

    def logits(self, readouts: Tensor) -> Tensor:
        raise NotImplementedError


def expected_weights(step: int, before: Tensor, last: Tensor) -> Tensor:
    """[..., 3]: numbers that tell at which step and after which two tokens a look was taken."""
    return torch.stack([torch.full_like(last, step), before, last], dim=-1).float()


def inputs_of(indices: list[int]) -> Annotations:
    """Annotations of three positions that name these inputs of the table."""
    values = torch.tensor(indices, dtype=torch.float).view(-1, 1, 1).expand(-1, 3, 2)
    return Annotations(values.contiguous())


@dataclass(frozen=True)
class Sequence:
    """One sequence and its log-probability; ``finished`` ones include the end's."""

    tokens: tuple[int, ...]
    log_probability: float
    finished: bool

    def score(self, alpha: float) -> float:
        return self.log_probability / max(len(self.tokens) + self.finished, 1) ** alpha


def enumerate_sequences(decoder: ToyDecoder, index: int, *, max_length: int) -> list[Sequence]:
    """Every sequence of an input: all that end within ``max_length`` looks, and all of ``max_length`` words."""
    words = [w for w in range(decoder.vocabulary_size) if w != TOKENS.eos and w not in TOKENS.forbidden]
    found = []
    for length in range(max_length):
        for spoken in itertools.product(words, repeat=length):
            found.append(Sequence(spoken, log_probability(decoder, index, (*spoken, TOKENS.eos)), True))
    for spoken in itertools.product(words, repeat=max_length):
        found.append(Sequence(spoken, log_probability(decoder, index, spoken), False))
    return found


def log_probability(decoder: ToyDecoder, index: int, tokens: tuple[int, ...]) -> float:
    """The sum over a sequence, token by token."""
    total, before, last = 0.0, 0, TOKENS.bos
    for step, token in enumerate(tokens):
        total += float(torch.log_softmax(decoder.table[index, step, before, last].double(), dim=-1)[token])
        before, last = last, token
    return total
