"""The command line that makes a page again, as the page quotes it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path


def command_line(command: str, arguments: Sequence[str], options: Mapping[str, object]) -> str:
    """A command line for a shell.

    Args:
        command: such as ``compare``.
        arguments: what it works on, already as a shell reads it, see :func:`quoted` and :func:`files`.
        options: by their names, such as ``--output``; those that are None are left out, of a list each is given.
    """
    words = ["regard", command, *arguments]
    for name, value in options.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        words += [f"{name} {shlex.quote(str(each))}" for each in values]
    return " ".join(words)


def quoted(words: Sequence[object]) -> list[str]:
    """Words as a shell reads them."""
    return [shlex.quote(str(word)) for word in words]


def files(paths: Sequence[Path]) -> list[str]:
    """Files as a shell reads them; all YAML files of a folder as a pattern, as they were probably typed."""
    folder = paths[0].parent
    if len(paths) > 1 and set(paths) == set(folder.glob("*.yaml")):
        return [f"{shlex.quote(str(folder))}/*.yaml"]
    return quoted(paths)
