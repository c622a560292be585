"""``python -m regard.cli.settings_reference``: the page docs/settings.md, written from the settings themselves.

A test compares the page with this output, so that no setting and no bound is missing from it.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from regard.config import ByName, OneOf, Settings, inner_settings
from regard.training.recipe import Recipe

INTRODUCTION = """\
# The settings of a recipe

<!-- Written by `make docs` from the settings themselves; change those instead. -->

A recipe is a YAML file; `--set a.b=c` changes any value of it. Every number has bounds; what lies outside of them is
refused when the recipe is read. Where a part comes in several kinds, `name` or `format` says which. A dash in the place
of a default means that the setting must be given.
"""

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}
"""How bounds are written, by what pydantic calls them."""


def reference() -> str:
    """The whole page, as Markdown."""
    return INTRODUCTION + "".join(_section(kind) for kind in settings_classes(Recipe))


def settings_classes(root: type[Settings]) -> list[type[Settings]]:
    """A settings class and all that may lie in it, each once, from the outside in."""
    found = [root]
    for kind in found:
        inner = [each for field in kind.model_fields.values() for each in inner_settings(field)]
        found += [each for each in dict.fromkeys(inner) if each not in found]
    return found


def _section(kind: type[Settings]) -> str:
    notes = _notes(kind)
    rows = [
        f"| `{name}` | {_kinds(field)} | {_bounds(field)} | {_default(field)} | {notes.get(name, '')} |"
        for name, field in kind.model_fields.items()
    ]
    about = " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
    head = "| setting | kind | bounds | default | |\n|---|---|---|---|---|\n"
    return f"\n## {kind.__name__}\n\n{_plain(about)}\n\n{head}" + "\n".join(rows) + "\n"


def _kinds(field: FieldInfo) -> str:
    """The kinds of value that a setting takes, in words."""
    choices = [each for metadata in field.metadata if isinstance(metadata, OneOf) for each in metadata.names]
    if choices:
        return ", ".join(f"`{each}`" for each in choices)
    by_name = inner_settings(field) if any(isinstance(each, ByName) for each in field.metadata) else []
    return ", ".join(map(_kind, by_name)) or _kind(field.annotation)


def _kind(annotation: Any) -> str:
    """One annotation in words."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if annotation is type(None):
        return "null"
    if get_origin(annotation) is list:
        return f"list of {_kind(get_args(annotation)[0])}"
    parts = [each for each in get_args(annotation) if isinstance(each, type) or get_args(each)]
    words = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return words.get(annotation) or ", ".join(dict.fromkeys(_kind(each) for each in parts))


def _bounds(field: FieldInfo) -> str:
    bounds = [*field.metadata, *_inner_metadata(field.annotation)]
    found = [(sign, getattr(each, name, None)) for each in bounds for name, sign in SIGNS.items()]
    return ", ".join(f"{sign} {_number(value)}" for sign, value in found if value is not None)


def _inner_metadata(annotation: Any) -> Iterator[Any]:
    """The bounds of the entries of a list."""
    for part in get_args(annotation):
        for each in getattr(part, "__metadata__", ()):
            yield from getattr(each, "metadata", ())


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "–"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Settings):
        return "its defaults"
    words = {"None": "null", "True": "true", "False": "false"}
    shown = words.get(str(value), str(value))
    return f"`{shown}`" if shown else "empty"


def _notes(kind: type[Settings]) -> dict[str, str]:
    """The docstrings under the settings, one line each, those of base classes included."""
    notes: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not issubclass(each, Settings) or each is Settings:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef), "the source of a class"
        for setting, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(setting, ast.AnnAssign) and isinstance(setting.target, ast.Name):
                notes[setting.target.id] = _plain(_docstring(after))
    return notes


def _docstring(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def _plain(text: str) -> str:
    """Markdown of reStructuredText: code in backquotes, names without their roles."""
    text = re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
