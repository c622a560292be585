"""A real browser on a real service with the shipped models. Skipped, with the reason, where there is no Chromium."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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
    command = [sys.executable, "-m", "regard", "serve", "--port", "0", "--processes", "1"]
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
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page in a browser of its own; whatever it asks elsewhere, logs as an error or throws fails the test."""
    contexts, faults = [], []

    def opened(view: str = "", *, width: int = 1280, height: int = 860, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **{"locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        page.on("request", lambda each: each.url.startswith((address, "blob:", "data:")) or faults.append(each.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept() if dialog.type == "confirm" else faults.append(dialog.message))
        page.on(
            "console", lambda said: said.type == "error" and "status of" not in said.text and faults.append(said.text)
        )
        page.goto(f"{address}{view}")
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
