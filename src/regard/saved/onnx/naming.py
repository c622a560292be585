"""A decoder's state as tensors with names, and back: what a graph takes and what it gives.

    values, keys, mask, …    what all rows of an input share, named after the fields of the decoder's memory; what lies
                             deeper is joined with points, such as ``layers.0.keys``
    state.h, state.c, …      one entry per row, as the state names them; after a step they are called ``next.h``, …

    concept.words, …         what an encoder of pictures names, as the fields of :class:`regard.annotations.Concepts`

Whatever else a memory carries, such as stacked matrices, is the same for every input and belongs into the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from torch import Tensor

from regard.attention import Memory

MASK = "mask"
STATE, NEXT = "state.", "next."
CONCEPT = "concept."
CONCEPTS = ("words", "probabilities", "maps")


def prefixed(prefix: str, names: Iterable[str]) -> list[str]:
    """Each name with ``prefix`` before it."""
    return [prefix + name for name in names]


class MemoryNames:
    """The tensors of a decoder's memories by name.

    A tensor that stands in several places, such as the mask of every layer, has the name of the first of them.

    Args:
        example: any memory of the decoder.
    """

    def __init__(self, example: Memory) -> None:
        self._example = example
        first: dict[int, str] = {}
        self._homes = {name: first.setdefault(id(tensor), name) for name, tensor in _named("", example)}

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._homes.values()))

    def take(self, memory: Memory) -> dict[str, Tensor]:
        """The tensors of ``memory`` by name."""
        tensors = dict(_named("", memory))
        return {name: tensors[name] for name in self}

    def put(self, tensors: Mapping[str, Tensor]) -> Memory:
        """The memory that holds ``tensors``."""
        memory = _rebuilt("", self._example, {name: tensors[home] for name, home in self._homes.items()})
        assert isinstance(memory, Memory), "a memory is rebuilt as one"
        return memory


def _named(name: str, part: Any) -> Iterable[tuple[str, Tensor]]:
    if isinstance(part, Tensor):
        yield name, part
    for key, each in _parts(part):
        yield from _named(f"{name}.{key}" if name else key, each)


def _rebuilt(name: str, part: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(part, Tensor):
        return tensors[name]
    parts = {key: _rebuilt(f"{name}.{key}" if name else key, each, tensors) for key, each in _parts(part)}
    if isinstance(part, Memory):
        return replace(part, **parts)
    return tuple(parts.values()) if isinstance(part, tuple) else part


def _parts(part: Any) -> list[tuple[str, Any]]:
    if isinstance(part, Memory):
        return [(field.name, getattr(part, field.name)) for field in fields(part)]
    return [(str(i), each) for i, each in enumerate(part)] if isinstance(part, tuple) else []
