"""``regard serve``: the page and the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json
from regard.errors import ConfigError, DependencyError

if TYPE_CHECKING:
    from regard.serve.settings import ServeSettings

KEYS_VARIABLE = "REGARD_API_KEYS"

Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A model by name or folder, repeatable; the default captioner and all translators that ship unless given.",
    ),
]
Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for other machines.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A name under which it may be asked for, repeatable; '*' for any."),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Another origin whose pages may use it, such as https://example.org."),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help=f"API keys, one a line, one of which requests must carry; or in {KEYS_VARIABLE}."
    ),
]
Processes = Annotated[int | None, typer.Option(min=1, help="Model processes; one a core unless given.")]
Precision = Annotated[
    str, typer.Option(metavar="NAME", help="float32, or faster and nearly the same bfloat16 or int8.")
]
Limit = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="KEY=VALUE", help="A limit other than the default, such as waiting=200."),
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def serve(
    model: Model = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
    api_keys: Keys = None,
    processes: Processes = None,
    precision: Precision = "float32",
    limit: Limit = None,
    open_page: Open = False,
    as_json: AsJson = False,
) -> None:
    """Serve the page for people and HTTP for programs, until Ctrl-C or SIGTERM; it says its address when ready."""
    from regard.config import override, parse
    from regard.serve.settings import ServeSettings

    given = {
        "models": tuple(model or ()),
        "host": host,
        "port": port,
        "hosts": tuple(allow_host or ()),
        "origins": tuple(allow_origin or ()),
        "keys": _read_keys(api_keys),
        "precision": precision,
        "limits": override({}, limit or []),
        **({} if processes is None else {"processes": processes}),
    }
    _run(parse(ServeSettings, given, origin="the options"), open_page=open_page, as_json=as_json)


def _run(settings: ServeSettings, *, open_page: bool, as_json: bool) -> None:
    try:
        from regard.serve.app import Service, build_app
        from regard.serve.server import address, listen, run
    except ModuleNotFoundError as error:
        raise DependencyError(str(error.name), extra="serve", purpose="regard serve") from None
    listening = listen(settings)
    url = address(listening)
    service = Service(settings)

    def ready() -> None:
        if as_json:
            echo_json({"url": url})
        else:
            echo(f"regard is ready at {url} (Ctrl-C ends it)")
        if open_page:
            typer.launch(url)

    run(build_app(service), service, settings, listening, ready=ready)


def _read_keys(path: Path | None) -> tuple[str, ...]:
    """The keys of a file, or those of the environment."""
    if path is None:
        return tuple(os.environ.get(KEYS_VARIABLE, "").split())
    try:
        keys = tuple(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    if not keys:
        raise ConfigError(f"{path}: holds no key", allowed="one key a line")
    return keys
