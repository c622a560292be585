"""``regard demo`` captions samples and own photos, and says where the page is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from regard.cli import main
from regard.cli.demo import SAMPLES

pytestmark = pytest.mark.usefixtures("only_shipped")


def test_own_photos_come_before_the_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage", reason="needs regard[demo]")
    own, page = tmp_path / "it's mine.png", tmp_path / "page.html"
    Image.new("RGB", (30, 20), "blue").save(own)
    assert main(["demo", "--model", "looker", "--save", str(page), str(own)]) == 0
    out, err = capsys.readouterr()
    assert [Path(line.partition(": ")[0]).name for line in out.splitlines()] == [own.name, *SAMPLES]
    assert err == f"saved in {page}\n"
    assert page.stat().st_size > 0


def test_without_the_samples_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["demo", "--model", "looker"]) == 1
    assert 'pip install "regard[demo]"' in capsys.readouterr().err
