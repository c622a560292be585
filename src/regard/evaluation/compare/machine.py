"""What a measured second depends on: the machine and the versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from regard.evaluation.compare.wording import counted


def describe_machine() -> str:
    """Processor, cores and threads, such as ``AMD EPYC, 2 cores, 2 threads``."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    return f"{_processor()}, {counted(cores, 'core')}, {counted(threads, 'thread')}"


def describe_versions() -> str:
    """Such as ``regard 0.1.0, torch 2.13.0, Python 3.11.9``."""
    return f"regard {metadata.version('regard')}, torch {torch.__version__}, Python {platform.python_version()}"


def _processor() -> str:
    """Its name: Linux says it in a file, other systems to Python."""
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
