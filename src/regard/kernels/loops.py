"""Loops in C++ for what PyTorch does as a row of operations, compiled for this processor where that is asked for.

    with compiled_loops():
        ...                     training takes the loops of ``loops.cpp``

A row of operations writes a block of numbers to the cache and reads it back between any two of them; a loop keeps them
in registers. Compiling takes about a second, once per process, and needs a C++ compiler with OpenMP (``$CXX``, ``c++``,
``g++`` or ``clang++``). Nothing is kept on the disk, since what is compiled for one processor need not run on another.
Without a compiler the same numbers are computed by PyTorch, to the precision that all fused paths keep.
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

import torch
from torch import Tensor

from regard.kernels import use_reference

SOURCE = Path(__file__).with_name("loops.cpp")
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-std=c++14", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
ARITHMETIC = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")
"""Sums may be taken in parts side by side; infinities and what is no number stay what they are."""
COMPILING_SECONDS = 60
MOST_SHOWN = 200
"""Characters of what a compiler complains of."""


class NotCompiled(Exception):
    """The loops cannot be compiled here; the message says why, in one line."""


class Loops:
    """The loops of ``loops.cpp``, on contiguous tensors of the processor, all float32 or all float64."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises:
        AttributeError: a loop is missing.
        """
        self._functions = {
            (name, dtype): getattr(library, f"{name}_{ending}")
            for name in ("additive_scores", "additive_gradients")
            for dtype, ending in ((torch.float32, "float"), (torch.float64, "double"))
        }

    def additive_scores(self, left: Tensor, right: Tensor, v: Tensor) -> Tensor:
        """Σ_a v_a / (1 + left_ra right_na), [inputs, rows, position].

        Args:
            left: [inputs, rows, dim].
            right: [inputs or more, position, dim].
            v: [dim].
        """
        scores = left.new_empty(*left.shape[:2], right.shape[1])
        self._call("additive_scores", (left, right, v, scores), _sizes(left, right))
        return scores

    def additive_gradients(
        self, left: Tensor, right: Tensor, gradient: Tensor, *, to_right: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of the gradient g [inputs, rows, position] of such scores, with σ = 1 / (1 + left_ra right_na).

        Σ_r g σ (1 − σ) is added to ``to_right``, of the shape of ``right``.

        Returns:
            Σ_n g σ (1 − σ) and Σ_n g σ, both of the shape of ``left``.
        """
        to_left, paid = torch.empty_like(left), torch.empty_like(left)
        self._call("additive_gradients", (left, right, gradient, to_left, paid, to_right), _sizes(left, right))
        return to_left, paid

    def _call(self, name: str, tensors: tuple[Tensor, ...], sizes: tuple[int, ...]) -> None:
        dtype = tensors[0].dtype
        for tensor in tensors:
            assert tensor.is_contiguous(), "loops step from one number to the next"
            assert tensor.dtype == dtype, "a loop has one type of number"
        places = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        self._functions[name, dtype](
            *places, *(ctypes.c_int64(size) for size in sizes), ctypes.c_int(torch.get_num_threads())
        )


def _sizes(left: Tensor, right: Tensor) -> tuple[int, ...]:
    assert len(left) <= len(right), "every row has positions to be compared with"
    return len(left), left.shape[1], right.shape[1], left.shape[2]


_LOOPS: ContextVar[Loops | None] = ContextVar("_LOOPS", default=None)


def current_loops(like: Tensor) -> Loops | None:
    """The loops, inside :func:`compiled_loops` and for tensors such as ``like``; else None."""
    loops = _LOOPS.get()
    fit = loops is not None and like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)
    return loops if fit and not use_reference() else None


@contextmanager
def compiled_loops() -> Iterator[None]:
    """Inside, in this thread, passes take compiled loops.

    Raises:
        NotCompiled: on entering.
    """
    token = _LOOPS.set(compile_loops())
    try:
        yield
    finally:
        _LOOPS.reset(token)


@cache
def compile_loops() -> Loops:
    """Compile and load ``loops.cpp``.

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
            _run([*command, *OPTIONS, *ARITHMETIC, str(SOURCE), "-o", str(library)], folder)
            return Loops(ctypes.CDLL(str(library)))
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
