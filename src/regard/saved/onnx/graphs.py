"""A model as two ONNX graphs: the encoder with the decoder's start, and one step of the decoder.

    encoder   pixels, or tokens and mask       →  what all rows of an input share, and the first state, one row each
    step      tokens, length, memory, state    →  logits, weights, the next state

:mod:`regard.saved.onnx.naming` says how the tensors are called. The sizes called batch, rows, source and past are
free. What a step does not look at is not among its inputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from regard.annotations import Annotations
from regard.decoders import Decoder, State
from regard.encoders.image import ImageEncoder
from regard.encoders.recurrent import RecurrentEncoder
from regard.errors import ModelError
from regard.model import EncoderDecoder
from regard.saved.onnx.naming import CONCEPT, CONCEPTS, MASK, NEXT, STATE, MemoryNames, prefixed
from regard.saved.onnx.packages import package
from regard.saved.onnx.recurrence import OnnxRecurrence

PURPOSE = "writing ONNX"
BATCH, ROWS, SOURCE, PAST = (2, 3), (3, 4), (5, 7), (2, 4)
"""The sizes of two examples, no pair like another: how two tensors differ tells which of their sizes are free. None is
1, which the exporter would take for fixed."""


@dataclass(frozen=True)
class Inputs:
    """What an encoder reads, by name, and the sizes of it that are free."""

    tensors: dict[str, Tensor]
    free: dict[str, dict[int, str]]


class _Encoder(nn.Module):
    """What is computed once for each input: of the memory what is in ``given``, and the state."""

    def __init__(self, model: EncoderDecoder, memory: MemoryNames, given: Sequence[str], state: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.memory, self.given, self.state = memory, given, state
        self.recurrence = OnnxRecurrence(model.encoder) if isinstance(model.encoder, RecurrentEncoder) else None

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        model = self.model
        annotations = model.annotate(*inputs) if self.recurrence is None else model.bridged(self.recurrence(*inputs))
        start = model.decoder.start(annotations)
        shared = self.memory.take(start.memory)
        tensors = [*(shared[name] for name in self.given), *(start.rows[name] for name in self.state)]
        if annotations.concepts is not None:
            tensors += [getattr(annotations.concepts, name) for name in CONCEPTS]
        # two entries may be one tensor, which cannot have two names
        return tuple(each.clone() for each in tensors)


class _Step(nn.Module):
    """What is computed for each word."""

    def __init__(self, decoder: Decoder, memory: MemoryNames, state: Sequence[str]) -> None:
        super().__init__()
        self.decoder = decoder
        self.memory, self.state = memory, state

    def forward(self, tokens: Tensor, length: int, shared: list[Tensor], rows: list[Tensor]) -> tuple[Tensor, ...]:
        memory = self.memory.put(dict(zip(self.memory, shared, strict=True)))
        step = self.decoder.step(State(memory, dict(zip(self.state, rows, strict=True)), length), tokens)
        return step.logits, step.weights, *(step.state.rows[name].clone() for name in self.state)


def export_graphs(model: EncoderDecoder) -> tuple[Any, Any]:
    """The encoder's graph and the step's, as what ``torch.onnx.export`` returns.

    Args:
        model: in evaluation mode.

    Raises:
        DependencyError: ``onnx`` or ``onnxscript`` is not installed.
        ModelError: the exporter cannot follow this model.
    """
    assert not model.training, "a model is exported for use"
    for name in ("onnx", "onnxscript"):
        package(name, purpose=PURPOSE)
    with torch.no_grad(), _quietly(), torch.random.fork_rng(devices=[]):
        inputs = [example_inputs(model, BATCH[i], SOURCE[i]) for i in range(2)]
        annotations = [model.annotate(*each.tensors.values()) for each in inputs]
        states = [_advanced(model.decoder, annotations[i], ROWS[i], PAST[i]) for i in range(2)]
        names, rows = MemoryNames(states[0].memory), list(states[0].rows)
        step = _export_step(model.decoder, states, names, rows)
        taken = {each.name for each in step.model.graph.inputs}
        given = [name for name in names if name != MASK and (name in taken or name == "values")]
        encoder = _export(
            _Encoder(model, names, given, rows),
            (list(inputs[0].tensors.values()),),
            free=(list(inputs[0].free.values()),),
            inputs=list(inputs[0].tensors),
            outputs=[*given, *prefixed(STATE, rows), *([] if model.concepts is None else prefixed(CONCEPT, CONCEPTS))],
        )
    return encoder, step


def example_inputs(model: EncoderDecoder, batch: int, source: int) -> Inputs:
    """Random inputs for the encoder: pictures, or sentences of unlike lengths up to ``source``."""
    encoder = model.encoder
    if isinstance(encoder, ImageEncoder):
        side = encoder.picture_size
        pixels = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8)
        return Inputs({"pixels": pixels}, {"pixels": {0: "batch"}})
    tokens = torch.randint(0, encoder.E.num_embeddings, (batch, source))
    lengths = source - torch.arange(batch) % source
    free = {0: "batch", 1: "source"}
    return Inputs({"tokens": tokens, MASK: torch.arange(source) < lengths.unsqueeze(1)}, {"tokens": free, MASK: free})


def _advanced(decoder: Decoder, annotations: Annotations, rows: int, past: int) -> State:
    """A state that has read ``past`` tokens."""
    state = decoder.start(annotations, rows=rows)
    for _ in range(past):
        tokens = torch.randint(0, decoder.vocabulary_size, (len(annotations), rows))
        state = decoder.step(state, tokens).state
    return state


def _export_step(decoder: Decoder, states: Sequence[State], names: MemoryNames, rows: Sequence[str]) -> Any:
    shared = [names.take(state.memory) for state in states]
    state = states[0]
    program = _export(
        _Step(decoder, names, rows),
        (
            torch.randint(0, decoder.vocabulary_size, (BATCH[0], ROWS[0])),
            state.length,
            list(shared[0].values()),
            [state.rows[name].contiguous() for name in rows],
        ),
        free=(
            {0: "batch", 1: "rows"},
            "length",
            [_free(*(each[name] for each in shared)) for name in names],
            [_free(*(each.rows[name] for each in states)) for name in rows],
        ),
        inputs=["tokens", "length", *names, *prefixed(STATE, rows)],
        outputs=["logits", "weights", *prefixed(NEXT, rows)],
    )
    graph = program.model.graph
    for unused in [each for each in graph.inputs if not each.uses()]:
        graph.inputs.remove(unused)
    return program


def _free(one: Tensor, other: Tensor) -> dict[int, str]:
    """Which sizes of a tensor differ between the examples, and what they count."""
    counts = {BATCH: "batch", ROWS: "rows", SOURCE: "source", PAST: "past"}
    return {i: counts[pair] for i, pair in enumerate(zip(one.shape, other.shape, strict=True)) if pair[0] != pair[1]}


def _export(graph: nn.Module, arguments: tuple[Any, ...], *, free: Any, inputs: list[str], outputs: list[str]) -> Any:
    dims = {name: Dim(name) for name in ("batch", "rows", "source", "past")}
    try:
        return torch.onnx.export(
            graph.eval(),
            arguments,
            dynamo=True,
            verbose=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=_with_dims(free, dims),
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ModelError(
            f"the model cannot be written as ONNX ({reason:.160})", remedy="use it with --runtime torch"
        ) from None


def _with_dims(free: Any, dims: Mapping[str, Any]) -> Any:
    """The same structure with PyTorch's dimensions for names."""
    match free:
        case str():
            return Dim.DYNAMIC
        case dict():
            return {i: dims[name] for i, name in free.items()}
        case tuple():
            return tuple(_with_dims(each, dims) for each in free)
        case _:
            return [_with_dims(each, dims) for each in free]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter warns and logs about its own parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
