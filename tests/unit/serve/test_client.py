"""``regard caption --server``: the same lines as without, from a service that runs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from regard.cli import main
from regard.errors import ConfigError
from regard.serve.client import Client

from .conftest import Running, png


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number} ü.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(png(number))
    return paths


def test_a_service_captions_as_the_command_does(
    service: Running, tiny_models: tuple[Path, Path], photos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*map(str, photos), "--beam", "2", "--prefix", "two"]
    assert main(["caption", "--model", str(tiny_models[0]), *given]) == 0
    alone = capsys.readouterr().out
    assert main(["caption", "--server", f"http://127.0.0.1:{service.port}", *given]) == 0
    assert capsys.readouterr().out == alone
    assert (
        main(["caption", "--server", f"http://localhost:{service.port}/", str(photos[0]), "--json", "--to", "de"]) == 0
    )
    data = json.loads(capsys.readouterr().out)
    assert (data["path"], "translation" in data) == (str(photos[0]), True)


@pytest.mark.parametrize(
    "options",
    [
        ["--min-evidence", "0.5"],
        ["--min-confidence", "0.4", "--to", "de"],
        ["--set", "no_end_after=[dog,beach]", "--alternatives", "0"],
        ["--beam", "4", "--set", "groups=2", "--set", "diversity=0.8"],
    ],
)
def test_options_do_the_same_with_a_service(
    service: Running,
    tiny_models: tuple[Path, Path],
    photos: list[Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    monkeypatch.setattr("regard.cli.commands.caption.find_translator", lambda *_: str(tiny_models[1]))
    given = ["caption", *map(str, photos), *options]
    assert main([*given, "--model", str(tiny_models[0])]) == 0
    alone = capsys.readouterr().out
    assert main([*given, "--server", f"http://127.0.0.1:{service.port}"]) == 0
    assert capsys.readouterr().out == alone


def test_photos_that_cannot_be_read_are_said_in_their_place(
    service: Running, photos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photos[1].write_text("no picture")
    url = f"http://127.0.0.1:{service.port}"
    assert main(["caption", "--server", url, *map(str, photos), str(photos[0].with_name("none.png"))]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    first, second = said.err.splitlines()
    assert first.startswith(f"error: {photos[1]}: is no")
    assert second == f"error: {photos[0].with_name('none.png')}: no such file"
    assert main(["caption", "--server", url, "--json", str(photos[1])]) == 1
    assert json.loads(capsys.readouterr().out)["path"] == str(photos[1])


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--server", "ftp://a"], 1, "allowed: a URL such as http://127.0.0.1:8000"),
        (
            ["--server", "http://127.0.0.1:9", "--threads", "1", "--precision", "int8"],
            2,
            "without --threads, --precision",
        ),
        (["--server", "http://127.0.0.1:9", "--save", "a.html"], 2, "exclude each other"),
        (["--server", "http://127.0.0.1:9"], 1, "cannot be reached (Connection refused); start it: regard serve"),
    ],
)
def test_what_cannot_be_asked_is_said(
    photos: list[Path], capsys: pytest.CaptureFixture[str], options: list[str], status: int, message: str
) -> None:
    assert main(["caption", str(photos[0]), *options]) == status
    assert message in capsys.readouterr().err


def test_a_refusal_is_one_line(service: Running, photos: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "--server", f"http://127.0.0.1:{service.port}", str(photos[0]), "--beam", "99"]) == 1
    assert capsys.readouterr().err.endswith("beam is 99; allowed: up to 20\n")


class Busy(BaseHTTPRequestHandler):
    """Busy twice, then not."""

    left = 2

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).left -= 1
        body = json.dumps({"error": {"code": "busy"}} if type(self).left >= 0 else {"text": "a dog"}).encode()
        self.send_response(429 if type(self).left >= 0 else 200)
        self.send_header("retry-after", "0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_busy_service_is_asked_again(photos: list[Path]) -> None:
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            found = list(Client(f"http://127.0.0.1:{server.server_port}").caption_many([str(photos[0])], {}))
        finally:
            server.shutdown()
            thread.join()
    assert found == [{"text": "a dog"}]


def test_another_kind_of_server_is_said() -> None:
    with pytest.raises(ConfigError, match="allowed: a URL"):
        Client("127.0.0.1:8000")
