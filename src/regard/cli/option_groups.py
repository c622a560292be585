"""Groups of options: one parameter of a command, several options of its command line, one section of its help.

A group is a dataclass whose fields are annotated with typer's options (:mod:`regard.cli.options`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from typer.core import TyperCommand

SEARCH, COMPUTING, OUTPUT = "Search", "Computing", "Output"
"""The titles of sections; an option belongs to the one in its ``rich_help_panel``."""

Command = Callable[..., None]


def with_option_groups(*, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Gives a command, as typer reads it, an option for each field in the place of a parameter that is a group.

    Args:
        without: fields of groups that make no sense for the command and keep their defaults.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        groups: dict[str, Any] = {
            own.name: own.annotation for own in signature.parameters.values() if is_dataclass(own.annotation)
        }
        options = {name: _options(group, without) for name, group in groups.items()}
        parameters = [
            each
            for own in signature.parameters.values()
            for each in ([own.replace(**option) for option in options[own.name]] if own.name in groups else [own])
        ]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            built = {
                name: group(**{option["name"]: given.pop(option["name"]) for option in options[name]})
                for name, group in groups.items()
            }
            command(**given, **built)

        vars(run)["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _options(group: Any, without: Collection[str]) -> list[dict[str, Any]]:
    """Name, default and annotation of each option of a group."""
    hints = get_type_hints(group, include_extras=True)
    return [
        {"name": field.name, "default": field.default, "annotation": hints[field.name]}
        for field in fields(group)
        if field.name not in without
    ]


class GroupedCommand(TyperCommand):
    """A command whose help has a section for each group: plain ``Options`` first, then each group under its title."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options by their groups, in the order in which the groups first occur."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_title(parameter), []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _title(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"
