"""CPU operations in C++ that replace rows of PyTorch operations, compiled for this processor where asked for.

    with compiled_ops():
        ...                     training uses the operations of ``attention.cpp`` and ``cells.cpp``

A row of PyTorch operations writes a block of numbers to the cache and reads it back between any two of them; one
compiled operation keeps them in registers. There are some for additive scores (:mod:`regard.ops.additive`), for
weighted sums of values (:mod:`regard.ops.weighted_sum`), for the softmax of a cross-entropy
(:mod:`regard.ops.cross_entropy`) and for the elementwise part of a recurrent step (:mod:`regard.ops.cells`).

Compiling takes a second or two, once per process and dtype, and needs a C++ compiler with OpenMP (``$CXX``, ``c++``,
``g++`` or ``clang++``). Nothing is written to the disk for good, since what is compiled for one processor need not run
on another. Without a compiler PyTorch computes the same, to the precision that all fused paths keep.
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

SOURCES = [str(Path(__file__).with_name(name)) for name in ("attention.cpp", "cells.cpp")]
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-std=c++14", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
ARITHMETIC = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")
"""Sums may be vectorised; infinities and NaN stay what they are."""
DTYPES = {torch.float32: "-DSCALAR=float", torch.float64: "-DSCALAR=double"}
NAMES = (
    "additive_scores",
    "additive_gradients",
    "weighted_sum",
    "weighted_sum_bfloat16",
    "dot_products",
    "dot_products_bfloat16",
    "softmax_gradients",
    "softmax_gradients_bfloat16",
    "lstm_forward",
    "lstm_backward",
    "gru_forward",
    "gru_backward",
    "gated_gates",
    "gated_forward",
    "gated_backward",
    "gated_reset_backward",
)
COMPILING_SECONDS = 60
MESSAGE_CHARACTERS = 200
"""The most characters of a compiler's message that are shown."""


class NotCompiled(Exception):
    """The operations cannot be compiled here; the message says why, in one line."""


class Strided(NamedTuple):
    """Rows [rows, columns] that are parts of longer rows; their stride is passed along."""

    rows: Tensor


class CompiledOps:
    """The operations of ``attention.cpp`` and ``cells.cpp``, compiled for one dtype."""

    def __init__(self, library: ctypes.CDLL, dtype: torch.dtype) -> None:
        """Raises:
        AttributeError: an operation is missing.
        """
        self._functions = {name: getattr(library, name) for name in NAMES}
        self._dtypes = (dtype, torch.bfloat16, torch.int64)

    def run(self, name: str, *arguments: Tensor | Strided | int | None) -> None:
        """Run an operation on its arguments, in the order of its source; the number of threads is added."""
        passed: list[ctypes.c_void_p | ctypes.c_int64] = []
        for argument in arguments:
            if isinstance(argument, int):
                passed.append(ctypes.c_int64(argument))
            elif isinstance(argument, Strided):
                assert argument.rows.stride(1) == 1, "compiled operations take contiguous rows"
                passed += [self._pointer(argument.rows), ctypes.c_int64(argument.rows.stride(0))]
            else:
                assert argument is None or argument.is_contiguous(), "compiled operations take contiguous rows"
                passed.append(ctypes.c_void_p() if argument is None else self._pointer(argument))
        self._functions[name](*passed, ctypes.c_int(torch.get_num_threads()))

    def _pointer(self, tensor: Tensor) -> ctypes.c_void_p:
        assert tensor.dtype in self._dtypes, "compiled for one dtype"
        return ctypes.c_void_p(tensor.data_ptr())


_COMPILED: ContextVar[dict[torch.dtype, CompiledOps] | None] = ContextVar("_COMPILED", default=None)


def current_ops(device: torch.device, dtype: torch.dtype) -> CompiledOps | None:
    """The compiled operations for this dtype and device, inside :func:`compiled_ops`; else None."""
    compiled = _COMPILED.get()
    return None if compiled is None or device.type != "cpu" else compiled.get(dtype)


@contextmanager
def compiled_ops(*dtypes: torch.dtype) -> Iterator[None]:
    """Inside, in this thread, fused passes use compiled operations for these dtypes, float32 unless others are given.

    Raises:
        NotCompiled: on entering.
    """
    token = _COMPILED.set({dtype: compile_ops(dtype) for dtype in dtypes or (torch.float32,)})
    try:
        yield
    finally:
        _COMPILED.reset(token)


@cache
def compile_ops(dtype: torch.dtype = torch.float32) -> CompiledOps:
    """Compile and load ``attention.cpp`` and ``cells.cpp``.

    Raises:
        NotCompiled: there is no compiler, or it has failed.
    """
    commands = [shlex.split(os.environ.get("CXX", "")), *([name] for name in COMPILERS)]
    command = next((words for words in commands if words and shutil.which(words[0])), None)
    if command is None:
        raise NotCompiled("no C++ compiler is found")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            library = Path(folder) / "ops.so"
            _run([*command, *OPTIONS, *ARITHMETIC, DTYPES[dtype], *SOURCES, "-o", str(library)], folder)
            return CompiledOps(ctypes.CDLL(str(library)), dtype)
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
            _, message = process.communicate(timeout=COMPILING_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=message)


def _reason(compiler: str, error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{compiler} took longer than {COMPILING_SECONDS} s"
    if not isinstance(error, subprocess.CalledProcessError):
        return f"{compiler}: {error}"
    errors = [line for line in error.stderr.decode(errors="replace").splitlines() if "error" in line]
    shown = "".join(each if each.isprintable() else " " for each in errors[0][:MESSAGE_CHARACTERS]) if errors else ""
    return " ".join(f"{compiler} has failed: {shown or f'it left with {error.returncode}'}".split())
