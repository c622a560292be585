"""A real browser on a real service with the shipped models. Skipped, with the reason, where there is no Chromium."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("REGARD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(os.environ.get("REGARD_AXE", ".axe/node_modules/axe-core/axe.min.js"))
TIMEOUT = 60_000

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("there is no chromium: make test-browser installs it where it can", allow_module_level=True)

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """A service of the shipped models."""
    with serving() as url:
        yield url


@contextmanager
def serving(*models: Path) -> Iterator[str]:
    """A service of these models, or of the shipped ones where there are none."""
    named = [argument for each in models for argument in ("--model", str(each))]
    command = [sys.executable, "-m", "regard", "serve", "--port", "0", "--processes", "1", *named]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found, "the service says its address"
        yield found[0]
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="session")
def photo() -> Path:
    """A portrait that comes with scikit-image."""
    return photo_of_skimage("astronaut.png")


def photo_of_skimage(name: str) -> Path:
    """A photo that comes with scikit-image."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name


@pytest.fixture(scope="session")
def side_by_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of three small captioners with random weights, one with each decoder of the lecture."""
    folder = tmp_path_factory.mktemp("models")
    sizes = {"attend": {"embedding": 8, "attention": 8}, "repeat": {}, "feedback": {"embedding": 8}}
    models = [save_captioner(folder / name, {"name": name, "hidden": 8, **each}) for name, each in sizes.items()]
    with serving(*models) as url:
        yield url


def save_captioner(folder: Path, decoder: Mapping[str, Any]) -> Path:
    """A small captioner with random weights."""
    from regard.config import parse
    from regard.model import EncoderDecoder, ModelSettings
    from regard.saved.bundle import Bundle, save_bundle
    from regard.search import SearchOptions
    from regard.text import WordTokenizer

    tokenizer = WordTokenizer.train(["a dog runs on the beach", "two cats sit on a mat"])
    values = {
        "encoder": {"name": "efficientnet_lite0", "layer": "stage1", "size": 32, "pool": 3, "weights": None},
        "bridge": {"dim": 8},
        "decoder": decoder,
    }
    model = EncoderDecoder(parse(ModelSettings, values, origin="a small model"), vocabulary_size=tokenizer.size)
    search = SearchOptions(beam=2, max_length=6, min_length=2)
    return save_bundle(Bundle(model=model.eval(), tokenizer=tokenizer, search=search), folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # a camera that films a test pattern
        arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page in a browser of its own; whatever it asks elsewhere, logs as an error or throws fails the test."""
    contexts, faults = [], []

    def opened(
        view: str = "", *, at: str = address, width: int = 1280, height: int = 860, script: str = "", **options: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **{"locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        page.add_init_script(script)
        page.on("request", lambda each: each.url.startswith((at, "blob:", "data:")) or faults.append(each.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept() if dialog.type == "confirm" else faults.append(dialog.message))
        page.on(
            "console", lambda said: said.type == "error" and "status of" not in said.text and faults.append(said.text)
        )
        page.goto(f"{at}{view}")
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def described(open_page: Open, photo: Path) -> Callable[..., Any]:
    """Opens the page and lets it describe the portrait."""

    def opened(**options: Any) -> Any:
        page = open_page(**options)
        page.set_input_files("#files", photo)
        page.wait_for_selector("#photo-result .word")
        return page

    return opened
