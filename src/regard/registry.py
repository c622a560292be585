"""Registries: objects by name, each imported from its module when it is first asked for.

A room that can be extended (views by suffix, metrics by name) keeps one :class:`Registry`. A new entry is one new file
and one line in the table, and nothing of it is imported until somebody uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from regard.errors import unknown_name

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Objects by name; iterating gives the names, in the order of the table.

    Args:
        kind: what the entries are, in the singular, for error messages.
        homes: where each object is defined, ``module:attribute``, by its name.
    """

    def __init__(self, kind: str, homes: Mapping[str, str]) -> None:
        self._kind = kind
        self._homes = dict(homes)

    def __getitem__(self, name: str) -> Entry:
        """The object of that name.

        Raises:
            ConfigError: there is none; the message names the nearest one.
        """
        if name not in self._homes:
            raise unknown_name(self._kind, name, self._homes)
        module, _, attribute = self._homes[name].partition(":")
        entry: Entry = getattr(importlib.import_module(module), attribute)
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose public names are imported when they are first used.

    Args:
        package: its full name.
        homes: the module of each public name.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return find
