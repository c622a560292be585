"""Conditions of all tests: one thread, Triton's interpreter, and annotated shapes that are checked.

Their tensors are small and threads would only wait for each other. Kernels written in Triton ask for its interpreter
when they are imported. The package names shapes in annotations (``Float[Tensor, "batch rows dim"]``) without importing
jaxtyping, so they cost nothing at run time; here functions and dataclasses of the rooms below check them at every call,
except while a model is exported: a check would fix sizes that are free.
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRITON_INTERPRET", "1")

import jaxtyping
from beartype import beartype

CHECKED = (
    *("annotations", "attention", "scores", "decoders", "search"),
    *("ops.additive", "ops.cells", "ops.cross_entropy", "ops.dropout", "ops.linear", "ops.packing"),
    *("ops.quantization", "ops.recurrent_scan", "ops.scan_operands", "ops.scores", "ops.weighted_sum"),
)


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its annotated shapes checked, except inside an export."""
    shaped = {name: each for name, each in function.__annotations__.items() if "[Tensor" in str(each)}
    if not shaped:
        return function
    own = (function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    twin = FunctionType(*own)
    twin.__kwdefaults__, twin.__annotations__ = function.__kwdefaults__, shaped
    checked = beartype(twin)

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        import torch

        plain = torch.compiler.is_compiling() or torch.compiler.is_exporting()
        return (function if plain else checked)(*arguments, **options)

    return call


# annotations are text that names jaxtyping's types; builtins are where every module finds them
for name in ("Bool", "Float", "Int", "Shaped"):
    setattr(builtins, name, getattr(jaxtyping, name))
shapes = ModuleType("regard_shapes")
shapes.check = check  # type: ignore[attr-defined]
sys.modules["regard_shapes"] = shapes
jaxtyping.install_import_hook([f"regard.{each}" for each in CHECKED], "regard_shapes.check")
