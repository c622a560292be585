"""``regard cache``: what lies in the folder that runs share, how large it is, and how to be rid of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json, table
from regard.errors import unknown_name

if TYPE_CHECKING:
    from regard.cache import CacheEntry

cache = typer.Typer(help="Show what is kept between runs, or delete it.", rich_markup_mode=None)


@cache.callback(invoke_without_command=True)
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what is kept between runs: its size, and when it was last used."""
    if context.invoked_subcommand is not None:
        return
    from regard.files import cache_folder

    entries = _entries()
    if as_json:
        echo_json([{**asdict(entry), "path": str(entry.path)} for entry in entries])
        return
    if entries:
        rows = [
            (each.name, _size(each.num_bytes), f"{datetime.fromtimestamp(each.last_used):%F %H:%M}") for each in entries
        ]
        for line in table([("name", "size", "last used"), *rows]):
            echo(line)
    total = _size(sum(entry.num_bytes for entry in entries))
    echo(f"{cache_folder()}: {total}" + ("; regard cache clear [NAME] deletes it" if entries else ""))


@cache.command()
def clear(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One entry, or a folder such as features; all unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete what is kept between runs; it is made or fetched again when it is needed."""
    entries = _entries()
    chosen = [each for each in entries if name in (None, each.name) or each.name.startswith(f"{name}/")]
    if name is not None and not chosen:
        raise unknown_name("entry", name, [entry.name for entry in entries], owner="the cache")
    for entry in chosen:
        entry.delete()
    num_bytes = sum(entry.num_bytes for entry in chosen)
    if as_json:
        echo_json({"deleted": [entry.name for entry in chosen], "num_bytes": num_bytes})
    else:
        echo(f"deleted: {', '.join(entry.name for entry in chosen) or 'nothing'} ({_size(num_bytes)})")


def _entries() -> list[CacheEntry]:
    from regard.cache import cache_entries
    from regard.files import cache_folder

    return cache_entries(cache_folder())


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"
