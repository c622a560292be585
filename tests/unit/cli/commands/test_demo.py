"""``regard demo`` captions samples and own photos, and says where the page is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regard.cli import main
from regard.cli.commands.demo import SAMPLES, SENTENCES

NAMES = [name for _, names in SAMPLES.values() for name in names]

pytestmark = pytest.mark.usefixtures("only_shipped")


def test_own_photos_come_before_the_samples(
    tmp_path: Path, page_data: Callable[[Path], list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    for package in SAMPLES:
        pytest.importorskip(package, reason="needs regard[demo]")
    own, page = tmp_path / "it's mine.png", tmp_path / "page.html"
    Image.new("RGB", (30, 20), "blue").save(own)
    assert main(["demo", "--model", "looker", "--save", str(page), str(own)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [Path(line.partition(": ")[0]).name for line in lines[:-4]] == [own.name, *NAMES]
    assert [line.partition(" = ")[0] for line in lines[-4:-1]] == list(SENTENCES)
    assert lines[-1].startswith(lines[1])
    assert err == f"saved in {page}\n"
    *captions, first, second, third, last = page_data(page)
    assert [len(each["tracks"]) for each in captions] == [1] * (1 + len(NAMES))
    for sentence, data in zip(SENTENCES, (first, second, third), strict=True):
        source, target = data["tracks"]
        assert source["words"] == re.findall(r"\w+", sentence)
        assert [len(target["words"]), len(source["words"])] == [len(each) for each in reversed(data["links"])]
        assert not target["weights"]
    caption, translated = last["tracks"]
    assert caption["weights"] == captions[1]["tracks"][0]["weights"]
    assert len(translated["words"]) == len(translated["weights"]) == len(last["links"][1])


def test_without_a_translator_there_are_captions_alone(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in SAMPLES:
        pytest.importorskip(package, reason="needs regard[demo]")
    shutil.copytree(shipped / "looker", tmp_path / "models" / "looker")
    monkeypatch.setattr("regard.saved.bundle.SHIPPED", tmp_path / "models")
    assert main(["demo", "--model", "looker", "--save", str(tmp_path / "pages"), "--json"]) == 0
    assert [Path(json.loads(line)["path"]).name for line in capsys.readouterr().out.splitlines()] == NAMES
    assert {path.name for path in (tmp_path / "pages").glob("*.html")} == {f"{Path(each).stem}.html" for each in NAMES}


def test_without_the_samples_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["demo", "--model", "looker"]) == 1
    assert 'pip install "regard[demo]"' in capsys.readouterr().err
