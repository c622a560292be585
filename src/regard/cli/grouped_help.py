"""Help whose options stand in groups: plain ``Options`` first, then each group under its own title."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

SEARCH, COMPUTING, OUTPUT = "Search", "Computing", "Output"
"""The titles of groups; an option belongs to the one in its ``rich_help_panel``."""


class GroupedCommand(TyperCommand):
    """A command whose help groups its options."""

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
