"""``regard translate`` keeps order and empty lines, and goes on where it was stopped."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regard.cli import main
from regard.cli.progress import ShownProgress
from regard.pipeline import Translator
from regard.results import Translation

SENTENCES = ["a red cat", "", "two dogs run", "the mat sits", "grass"]

pytestmark = pytest.mark.usefixtures("only_shipped")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{each}\n" for each in SENTENCES))
    return path


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_sentences_files_and_standard_input_give_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", *SENTENCES]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SENTENCES)
    assert [not line for line in lines] == [not each for each in SENTENCES]
    assert main(["translate", "--file", str(file), "--to", "de"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    pipe(monkeypatch, file.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["translate", "--model", "speaker"]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_json_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "a red cat sits", "--json", "--set", "min_length=2"]) == 0
    translation = json.loads(capsys.readouterr().out)
    assert list(translation) == [
        "source", "text", "score", "source_words", "words", "alignment", "alternatives", "finished", "unfamiliar",
    ]  # fmt: skip
    assert translation["source_words"] == ["a", "red", "cat", "sits"]
    assert len(translation["alignment"]) == len(translation["words"]) >= 2
    for row in translation["alignment"]:
        assert sum(row) == pytest.approx(1, abs=1e-6)


def test_what_was_cut_off_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    endless = ["--set", "min_length=4", "--set", "max_length=4", "--json"]
    assert main(["translate", "a red cat", "", "two dogs", *endless]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["finished"] for line in out.splitlines()] == [False, True, False]
    assert err.splitlines() == [
        f"line {number}: cut off after 4 subwords; --set max_length=8 allows more" for number in (1, 3)
    ]


def test_a_stopped_command_goes_on_behind_the_last_whole_line(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole.txt", tmp_path / "parts.txt"
    assert main(["translate", "--file", str(file), "--output", str(whole)]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(ShownProgress, "advance", stopping_after(3))
        assert main(["translate", "--file", str(file), "--output", str(parts)]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not parts.exists()
    part = tmp_path / "parts.txt.part"
    part.write_bytes(part.read_bytes() + b"half a li")
    began_at: list[int] = []
    start = ShownProgress.start

    def note_and_start(self: ShownProgress, title: str, total: int, *, done: int = 0) -> None:
        began_at.append(done)
        start(self, title, total, done=done)

    monkeypatch.setattr(ShownProgress, "start", note_and_start)
    assert main(["translate", "--file", str(file), "--output", str(parts)]) == 0
    assert began_at == [3]
    assert parts.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt", "whole.txt", "parts.txt"}


def test_what_is_drawn_at_random_and_what_failed_outlast_a_stop(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("\n".join([*SENTENCES, "word " * 30_000, *SENTENCES]))
    whole, parts = tmp_path / "whole.txt", tmp_path / "parts.txt"
    command = ["translate", "--file", str(file), "--set", "samples=1", "--output"]
    assert main([*command, str(whole)]) == 1
    with monkeypatch.context() as patch:
        patch.setattr(ShownProgress, "advance", stopping_after(7))
        assert main([*command, str(parts)]) == 130
    capsys.readouterr()
    assert main([*command, str(parts)]) == 1
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "error: 1 of the first 7 lines could not be translated before the stop"
    assert parts.read_bytes() == whole.read_bytes()
    again = whole.read_text().splitlines()
    assert again[: len(SENTENCES)] != again[-len(SENTENCES) :], "equal lines are drawn for apart"


def stopping_after(count: int) -> Callable[..., None]:
    """A bar that presses Ctrl-C once ``count`` units are done."""

    def advance(self: ShownProgress, units: int, note: str = "") -> None:
        nonlocal count
        count -= units
        if count <= 0:
            raise KeyboardInterrupt

    return advance


def test_another_input_begins_anew(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.txt"
    with monkeypatch.context() as patch:
        patch.setattr(ShownProgress, "advance", stopping_after(2))
        assert main(["translate", "--file", str(file), "--output", str(output)]) == 130
    file.write_text("two dogs\n")
    assert main(["translate", "--file", str(file), "--output", str(output)]) == 0
    assert output.read_text().count("\n") == 1


def test_what_may_be_large_is_not_held_for_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the data of a translation, where only its text is asked for, nor the file that is translated."""
    monkeypatch.setattr(Translation, "to_dict", lambda self: pytest.fail("data that nobody asked for"))
    read_bytes = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: pytest.fail("all at once") if self == file else read_bytes(self)
    )
    assert main(["translate", "a red cat"]) == 0
    assert main(["translate", "--file", str(file), "--output", str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "out.txt").exists()


def test_a_pipe_is_refused_before_its_lines_are_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert main(["translate", "--file", str(tmp_path / "pipe")]) == 1
    assert capsys.readouterr() == (
        "",
        f"error: {tmp_path / 'pipe'}: is no regular file; give its lines on standard input, without --file\n",
    )
    assert main(["translate", "--file", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_other_words_for_one_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["translate", "a red cat sits on a mat", "--set", "min_length=3"]
    assert main([*words, "--json"]) == 0
    chosen = [each["word"] for each in json.loads(capsys.readouterr().out)["words"]]
    assert main([*words, "--json", "--instead", "2"]) == 0
    others = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert others
    for other in others:
        assert other["words"][0]["word"] == chosen[0]
        assert other["words"][1]["word"] != chosen[1]
    assert main([*words, "--instead", "2", "--alternatives", "1", "--save", str(tmp_path / "one.png")]) == 0
    assert capsys.readouterr().out.splitlines() == [others[0]["text"]]
    assert len(others) > 1


def test_that_there_is_no_other_word_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Translator, "alternatives_for", lambda *_, **__: ())
    assert main(["translate", "a red cat", "--set", "min_length=3", "--instead", "2"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: no other word was found in place of word 2 of '")


def test_what_cannot_be_translated_leaves_an_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "a red cat", "word " * 30_000, "two dogs"]) == 1
    out, err = capsys.readouterr()
    assert [bool(line) for line in out.splitlines()] == [True, False, True]
    assert err.startswith("error: line 2: the text has 150,000 characters")
    assert err.count("\n") == 1


def test_a_file_that_is_not_utf8_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"a cat\nFu\xdf\n")
    assert main(["translate", "--file", str(tmp_path / "latin.txt")]) == 1
    assert "latin.txt: line 2 is not UTF-8" in capsys.readouterr().err
    pipe(monkeypatch, "a cat\n".encode("utf-16"))
    assert main(["translate"]) == 1
    assert capsys.readouterr() == ("", "error: standard input: is UTF-16; convert it to UTF-8\n")


def test_a_piped_line_that_is_not_utf8_loses_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", "a cat", "two dogs"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    pipe(monkeypatch, b"\xef\xbb\xbfa cat\r\nFu\xdf\ntwo dogs")
    assert main(["translate"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [first, "", last]
    assert err == "error: line 2: is not UTF-8 (byte 3 of the line is 0xdf, 'ß' in Latin-1); save it as UTF-8\n"


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["a", "--file", "b"], 2, "not both"),
        (["a", "b", "--instead", "1"], 2, "exactly one sentence"),
        (["a", "--output", "b"], 2, "--output needs --file"),
        (["--file", "b", "--output", "/"], 2, "is a directory"),
        (["a", "--to", "fr"], 1, "no model that ships here translates from 'en' to 'fr'; allowed: en to de"),
        (["a", "--from", "de"], 1, "translates from 'de'"),
        (["a", "--model", "looker"], 1, "is a captioner"),
        (["a", "--instead", "99"], 1, "there is no word 99 in "),
        (["a", "--instead", "1", "--alternatives", "0"], 2, "shows nothing"),
        (["a", "--instead", "1", "--save", "a.png"], 1, "file holds one result"),
        (["--file", "gone.txt"], 1, "gone.txt: no such file"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    words: list[str], status: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", *words]) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert part in err


def test_a_translation_is_saved_as_page_picture_and_data(tmp_path: Path) -> None:
    assert main(["translate", "a red cat", "two dogs", "--save", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{name}{suffix}" for name in "12" for suffix in (".html", ".png", ".json")}


def test_a_caption_is_translated_and_leads_back_to_the_photo(
    tmp_path: Path, page_data: Callable[[Path], list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (50, 40), "green").save(photo)
    words = ["caption", str(photo), "--model", "looker", "--set", "min_length=2", "--json"]
    assert main([*words, "--to", "de", "--save", str(tmp_path / "page.html")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert main(words) == 0
    assert result["text"] == json.loads(capsys.readouterr().out)["text"]
    (data,) = page_data(tmp_path / "page.html")
    _, german = data["tracks"]
    words = result["translation"]["words"]
    assert german["words"] == [word["word"] for word in words]
    assert len(words) == len(german["weights"]) == len(data["links"][1]) > 1
    for word, look, partners in zip(words, german["weights"], data["links"][1], strict=True):
        assert sum(map(sum, word["weights"])) == pytest.approx(1, abs=1e-6)
        assert look == [[pytest.approx(10_000 * weight, abs=1) for weight in row] for row in word["weights"]]
        assert sum(weight for _, weight in partners) == pytest.approx(1, abs=0.05)
