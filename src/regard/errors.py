"""Every error that regard raises on purpose, in one tree.

RegardError
├── ConfigError        a recipe, an option or a ``--set`` that cannot be used
├── DataError          a data folder or a data file that cannot be used
│   ├── ImageError     one image that cannot be read
│   └── TextError      one text that cannot be read or encoded
├── ModelError         a model name, bundle or run folder that cannot be used
│   └── WeightsError   pretrained weights that are missing, damaged or of another shape
├── DependencyError    an optional package that is not installed
├── DivergedError      a training whose loss or weights are no numbers any more
├── OutOfMemory        work that takes more memory than is free
├── WorkerError        a worker process that failed, or was ended from outside
└── Interrupted        long work that the user stopped; the same command continues it

An error is one line that says what was given, what is allowed and what to do. The three parts are also attributes, so
that a program can use them without reading the sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any


class RegardError(Exception):
    """The root of all errors that a user can cause and cure.

    Args:
        given: what was given and why it cannot be used, as one sentence without a full stop.
        allowed: what would have been accepted; empty when ``given`` says it already.
        remedy: what to do next; empty when it is obvious.
    """

    def __init__(self, given: str, *, allowed: str = "", remedy: str = "") -> None:
        self.given = given
        self.allowed = allowed
        self.remedy = remedy
        super().__init__(given)

    def __str__(self) -> str:
        parts = [self.given]
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.remedy:
            parts.append(self.remedy)
        return " ".join("; ".join(parts).split())

    def __reduce__(self) -> tuple[Callable[..., RegardError], tuple[type[RegardError], dict[str, Any]]]:
        # an exception is copied by calling its class with its ``args``, which are not what ours are made from
        return _with_values, (type(self), self.__dict__)


def _with_values(kind: type[RegardError], values: dict[str, Any]) -> RegardError:
    error = kind.__new__(kind)
    error.__dict__.update(values)
    error.args = (error.given,)
    return error


class ConfigError(RegardError):
    """A recipe, an option or a ``--set`` that cannot be used."""


class DataError(RegardError):
    """A data folder or a data file that cannot be used."""


class ImageError(DataError):
    """One image that cannot be read. ``path`` names it."""

    def __init__(self, path: str, reason: str, *, allowed: str = "", remedy: str = "") -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}", allowed=allowed, remedy=remedy)


class TextError(DataError):
    """One text that cannot be read or encoded."""


class ModelError(RegardError):
    """A model name, bundle or run folder that cannot be used."""


class WeightsError(ModelError):
    """Pretrained weights that are missing, damaged or of another shape."""


class DependencyError(RegardError):
    """An optional package that is not installed. ``package`` and ``extra`` name the cure, unless ``remedy`` does."""

    def __init__(self, package: str, *, extra: str, purpose: str, remedy: str = "") -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            remedy=remedy or f'install it with: pip install "regard[{extra}]"',
        )


class DivergedError(RegardError):
    """A training whose loss or weights are no numbers any more."""


class OutOfMemory(RegardError):
    """Work that takes more memory than is free; the remedy names the setting to lower."""


LESS_MEMORY = "lower --beam or --workers, or end other programs"
"""What a search that runs out of memory can do."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, or PyTorch on a processor or a GPU says that it gets no memory."""
    signs = ("can't allocate memory", "out of memory", "Cannot allocate memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and any(sign in str(error) for sign in signs)
    )


class WorkerError(RegardError):
    """A worker process that failed, or was ended from outside. What it complained about is a note of the error."""


class Interrupted(RegardError):
    """Long work that the user stopped; the same command continues it."""


def unknown_name(kind: str, given: str, allowed: Iterable[str], *, owner: str = "", remedy: str = "") -> ConfigError:
    """The error for a name that is not in a list, with the nearest name that is.

    Args:
        kind: what was named, such as ``layer``.
        given: the name as the user gave it.
        allowed: the names that exist.
        owner: whose names these are; empty where it is obvious.
        remedy: what to do where no name is near.
    """
    names = list(allowed)
    nearest = difflib.get_close_matches(given, names, n=1)
    return ConfigError(
        f"{owner} has no {kind} {given!r}" if owner else f"there is no {kind} {given!r}",
        allowed=", ".join(names),
        remedy=f"did you mean {nearest[0]!r}?" if nearest else remedy,
    )


def shown(value: Any, *, depth: int = 2) -> str:
    """A value as messages quote it: short, and made in little time however large the value is."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length():,} bits"
    if isinstance(value, str):
        return repr(value[:80])
    if isinstance(value, dict | list) and value:
        if depth == 0:
            return "…"
        first = [
            f"{shown(key, depth=0)}: {shown(value[key], depth=depth - 1)}"
            if isinstance(value, dict)
            else shown(key, depth=depth - 1)
            for key in islice(value, 3)
        ]
        inner = ", ".join([*first, "…"] if len(value) > len(first) else first)
        return f"{{{inner}}}" if isinstance(value, dict) else f"[{inner}]"
    return f"{value!r:.80}"
