"""Conditions of all tests: one thread, because their tensors are small and threads would only wait for each other, and
the interpreter for kernels written in Triton, which decides this when it is imported."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRITON_INTERPRET", "1")
