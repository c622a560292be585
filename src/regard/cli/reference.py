"""``python -m regard.cli.reference``: the page docs/cli.md, written from the commands themselves.

A test compares the page with this output, so that no command and no option is missing from it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from regard.cli.app import app

INTRODUCTION = """\
# The command line

<!-- Written by `make docs` from the commands themselves; change those instead. -->

Results go to standard output, progress and errors to standard error. `--json` prints one JSON object a line.

| exit status | meaning |
|---|---|
| 0 | all went well |
| 1 | something given could not be used; one line says what, and what to do |
| 2 | the command line itself was wrong |
| 70 | a defect of regard; `REGARD_DEBUG=1` shows where |
| 130 | stopped with Ctrl-C; long work is continued by the same command |
"""


def reference() -> str:
    """The whole page, as Markdown."""
    context = _context(get_command(app), "regard", parent=None)
    sections = [f"\n## {each.command_path}\n\n```\n{each.get_help()}\n```\n" for each in _walk(context)]
    return INTRODUCTION + "".join(sections)


def _walk(context: Any) -> Iterator[Any]:
    """The context of a command and of all commands under it, each after its parent."""
    yield context
    if isinstance(context.command, TyperGroup):
        for name in context.command.list_commands(context):
            yield from _walk(_context(context.command.get_command(context, name), name, parent=context))


def _context(command: Any, name: str, *, parent: typer.Context | None) -> typer.Context:
    # a fixed width: the page must not depend on the terminal in which it is written
    return typer.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)


if __name__ == "__main__":
    sys.stdout.write(reference())
