"""Every file that docs/data.md shows is read without a problem, and every command in it runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from regard.cli import main
from regard.data.check import check
from regard.data.readers import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith("regard")
]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, the images that they name, and the folder ``photos`` that its first commands are about."""
    monkeypatch.chdir(tmp_path)
    for number, (name, content) in enumerate(FILES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        images = re.findall(r"[\w.-]+\.jpg", content) or [f"{path.stem}.jpg"] * (path.parent.name == "holiday")
        for place, image in enumerate(dict.fromkeys(images)):
            colour = (7 * number % 256, 40 * place % 256, len(image))
            Image.new("RGB", (32, 32), colour).save(path.parent / image)
    (tmp_path / "kaggle").rename(tmp_path / "photos")
    (tmp_path / "kaggle").symlink_to("photos")
    return tmp_path


def test_every_layout_is_read_without_a_problem(shown: Path) -> None:
    names = {(shown / name).relative_to(shown).parts[0] for name, _ in FILES}
    formats = set()
    for name in sorted(names):
        report = check(shown / name)
        assert report.problems == (), f"{name}: {report.problems}"
        assert sum(split.count for split in report.splits) > 1
        formats.add(report.format)
    assert {"table", "photo.txt", "flickr8k", "coco", "karpathy", "sentences in de, en"} <= formats
    assert {each.name for each in FORMATS} - formats == {"webdataset", "split folders"}, "told in words"


@pytest.mark.parametrize("command", [each for each in COMMANDS if not each.startswith("regard train")])
@pytest.mark.usefixtures("shown")
def test_every_command_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err


TINY = {
    "captions": "{encoder: {name: efficientnet_lite0, weights: null, size: 32}, decoder: {name: repeat, hidden: 4}}",
    "sentences": "{encoder: {name: recurrent, embedding: 8, hidden: 8}, decoder: {name: repeat, hidden: 4}}",
}


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("regard train")])
@pytest.mark.usefixtures("shown")
def test_every_training_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    if words[1].endswith(".yaml"):
        assert main(["init", "kaggle", "--output", words[1]]) == 0
    model = TINY["sentences" if "phrases.csv" in words else "captions"]
    small = ["--set", f"model={model}", "--set", "phases.0.epochs=1", "--set", "begin_from=null", "--cache", "cache"]
    assert main([*words, *small]) == 0, capsys.readouterr().err


def test_the_page_shows_every_kind_of_file_and_command() -> None:
    assert {Path(name).suffix for name, _ in FILES} >= {".txt", ".csv", ".jsonl", ".json", ".en", ".de"}
    assert {command.split()[1] for command in COMMANDS} == {"data", "train", "init"}
    assert len(FILES) > 12
