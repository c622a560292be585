"""Which of the shipped translators reads and writes which languages."""

from __future__ import annotations

from typing import Annotated

import typer

from regard.errors import ModelError

To = Annotated[str | None, typer.Option("--to", metavar="LANGUAGE", help="Translate into this language, such as de.")]
USUAL = {"en": "de"}
"""Into which language a language is translated where several can be written and none is named."""


def translators() -> dict[tuple[str, str], str]:
    """The names of the shipped translators by the languages that they read and write."""
    from regard.saved.bundle import SHIPPED, read_config, shipped_models

    names: dict[tuple[str, str], str] = {}
    for name in shipped_models():
        languages = read_config(SHIPPED / name).languages
        if languages is not None:
            names[languages[0], languages[1]] = name
    return names


def find_translator(source: str, target: str | None) -> str:
    """The name of the shipped translator from ``source`` to ``target``, language codes such as ``en``.

    Args:
        source: the language that is read.
        target: the language that is written; None for the only one, or for that of :data:`USUAL`.

    Raises:
        ModelError: there is none, or more than one.
    """
    names = translators()
    if target is None and (source, USUAL.get(source)) in names:
        target = USUAL[source]
    fitting = [name for pair, name in sorted(names.items()) if pair[0] == source and target in (None, pair[1])]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{reads} to {writes}" for reads, writes in sorted(names)) or "nothing yet"
    wanted = f"from {source!r}" if target is None else f"from {source!r} to {target!r}"
    quantity = "several models translate" if fitting else "no model that ships here translates"
    raise ModelError(f"{quantity} {wanted}", allowed=known, remedy="say which with --to, or name a model of your own")
