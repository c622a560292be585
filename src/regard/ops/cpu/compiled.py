"""Loops in C++ for what PyTorch does as a row of operations, compiled for this processor where that is asked for.

    with compiled_loops():
        ...                     training takes the loops of ``loops.cpp`` and ``cells.cpp``

A row of operations writes a block of numbers to the cache and reads it back between any two of them; a loop keeps them
in registers. Loops stand in for additive scores (:mod:`regard.ops.additive`), for weighted sums of values
(:mod:`regard.ops.weighted_sum`), for the softmax of a cross-entropy (:mod:`regard.ops.cross_entropy`) and for what a
recurrent step does number by number (:mod:`regard.ops.cells`).

Compiling takes a second or two, once per process and type of number, and needs a C++ compiler with OpenMP (``$CXX``,
``c++``, ``g++`` or ``clang++``). Nothing is kept on the disk, since what is compiled for one processor need not run on
another. Without a compiler the same numbers are computed by PyTorch, to the precision that all fused paths keep.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from regard.ops import use_reference

SOURCES = [str(Path(__file__).with_name(name)) for name in ("loops.cpp", "cells.cpp")]
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-std=c++14", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
ARITHMETIC = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")
"""Sums may be taken in parts side by side; infinities and what is no number stay what they are."""
NUMBERS = {torch.float32: "-DNUMBER=float", torch.float64: "-DNUMBER=double"}
NAMES = (
    "additive_scores",
    "additive_gradients",
    "mix_numbers",
    "mix_rounded",
    "compare_numbers",
    "compare_rounded",
    "softmax_slopes_numbers",
    "softmax_slopes_rounded",
    "lstm_forward",
    "lstm_backward",
    "gru_forward",
    "gru_backward",
    "gated_open",
    "gated_forward",
    "gated_backward",
    "gated_close",
)
COMPILING_SECONDS = 60
MOST_SHOWN = 200
"""Characters of what a compiler complains of."""


class NotCompiled(Exception):
    """The loops cannot be compiled here; the message says why, in one line."""


class Part(NamedTuple):
    """Rows [rows, numbers] that are parts of longer rows: a loop is told how far one is from the next."""

    rows: Tensor


class Loops:
    """The loops of ``loops.cpp`` and ``cells.cpp``, compiled for one type of number."""

    def __init__(self, library: ctypes.CDLL, dtype: torch.dtype) -> None:
        """Raises:
        AttributeError: a loop is missing.
        """
        self._functions = {name: getattr(library, name) for name in NAMES}
        self._dtypes = (dtype, torch.bfloat16, torch.int64)

    def run(self, name: str, *arguments: Tensor | Part | int | None) -> None:
        """Run a loop on its arguments as its source names them; the number of threads is added."""
        passed: list[ctypes.c_void_p | ctypes.c_int64] = []
        for argument in arguments:
            if isinstance(argument, int):
                passed.append(ctypes.c_int64(argument))
            elif isinstance(argument, Part):
                assert argument.rows.stride(1) == 1, "loops step from one number to the next"
                passed += [self._place(argument.rows), ctypes.c_int64(argument.rows.stride(0))]
            else:
                assert argument is None or argument.is_contiguous(), "loops step from one number to the next"
                passed.append(ctypes.c_void_p() if argument is None else self._place(argument))
        self._functions[name](*passed, ctypes.c_int(torch.get_num_threads()))

    def _place(self, tensor: Tensor) -> ctypes.c_void_p:
        assert tensor.dtype in self._dtypes, "loops are compiled for one type of number"
        return ctypes.c_void_p(tensor.data_ptr())


_LOOPS: ContextVar[dict[torch.dtype, Loops] | None] = ContextVar("_LOOPS", default=None)


def current_loops(device: torch.device, dtype: torch.dtype) -> Loops | None:
    """The loops for this type of number on this device, inside :func:`compiled_loops`; else None."""
    loops = _LOOPS.get()
    return None if loops is None or device.type != "cpu" or use_reference() else loops.get(dtype)


@contextmanager
def compiled_loops(*dtypes: torch.dtype) -> Iterator[None]:
    """Inside, in this thread, passes take compiled loops for these types of numbers, float32 unless others are given.

    Raises:
        NotCompiled: on entering.
    """
    token = _LOOPS.set({dtype: compile_loops(dtype) for dtype in dtypes or (torch.float32,)})
    try:
        yield
    finally:
        _LOOPS.reset(token)


@cache
def compile_loops(dtype: torch.dtype = torch.float32) -> Loops:
    """Compile and load ``loops.cpp`` and ``cells.cpp``.

    Raises:
        NotCompiled: there is no compiler, or it has failed.
    """
    commands = [shlex.split(os.environ.get("CXX", "")), *([name] for name in COMPILERS)]
    command = next((words for words in commands if words and shutil.which(words[0])), None)
    if command is None:
        raise NotCompiled("no C++ compiler is found")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            library = Path(folder) / "loops.so"
            _run([*command, *OPTIONS, *ARITHMETIC, NUMBERS[dtype], *SOURCES, "-o", str(library)], folder)
            return Loops(ctypes.CDLL(str(library)), dtype)
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        raise NotCompiled(_reason(" ".join(command), error)) from None


def _run(command: list[str], folder: str) -> None:
    """Run a compiler whose own files go where ``folder`` goes; one that hangs is stopped with what it has started."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": folder},
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=COMPILING_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)


def _reason(compiler: str, error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{compiler} took longer than {COMPILING_SECONDS} s"
    if not isinstance(error, subprocess.CalledProcessError):
        return f"{compiler}: {error}"
    said = [line for line in error.stderr.decode(errors="replace").splitlines() if "error" in line]
    shown = "".join(each if each.isprintable() else " " for each in said[0][:MOST_SHOWN]) if said else ""
    return " ".join(f"{compiler} has failed: {shown or f'it left with {error.returncode}'}".split())
