"""Lines that outlast a stop: what was whole is kept, what failed is remembered, and nobody else writes meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regard.cli.linefile import LineFile
from regard.errors import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "lines.txt"


def test_a_stopped_file_goes_on_and_knows_its_failures(path: Path) -> None:
    with LineFile(path, made_from=[b"this"]) as lines:
        assert (lines.num_done, lines.num_failed) == (0, 0)
        lines.write("one\ntwo")
        lines.note_failure()
        lines.write("")
        lines.note_failure()  # the stop comes before the line
    with LineFile(path, made_from=[b"this"]) as lines:
        assert (lines.num_done, lines.num_failed) == (2, 1)
        lines.note_failure()
        lines.write("")
    with LineFile(path, made_from=[b"this"]) as lines:
        assert (lines.num_done, lines.num_failed) == (3, 2)
        lines.finish()
    assert path.read_bytes() == b"one two\n\n\n"
    assert list(path.parent.iterdir()) == [path]


def test_failures_of_something_else_are_forgotten(path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"this")
    for content in (b"this", b"that"):
        source.write_bytes(content)
        with LineFile(path, made_from=[source]) as lines:
            assert (lines.num_done, lines.num_failed) == (0, 0)
            lines.note_failure()
            lines.write(content.decode())
    source.write_bytes(b"that")
    with LineFile(path, made_from=[source]) as lines:
        assert (lines.num_done, lines.num_failed) == (1, 1)


@pytest.mark.parametrize("made_from", [b"this", b"that"])
def test_two_commands_do_not_write_one_file(path: Path, made_from: bytes) -> None:
    with LineFile(path, made_from=[b"this"]) as lines:
        lines.write("one")
        with pytest.raises(DataError, match="another command is writing it; wait for it"):
            LineFile(path, made_from=[made_from])
        lines.write("two")
        lines.finish()
    assert path.read_text() == "one\ntwo\n"


def test_a_damaged_key_begins_anew(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("lines.txt.part").write_text("of whom?\n")
    path.with_name("lines.txt.part.key").write_bytes(b"\xff\xb2\n\xb2\n")
    with LineFile(path, made_from=[b"this"]) as lines:
        assert lines.num_done == 0
        lines.finish()
    assert path.read_bytes() == b""


def test_what_cannot_be_written_is_told(path: Path) -> None:
    (path.parent / "lines.txt.part").mkdir(parents=True)
    with pytest.raises(DataError, match=r"lines.txt: cannot be written \(Is a directory\)"):
        LineFile(path, made_from=[b"this"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_told_and_named(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("lines.txt.part").symlink_to("/dev/full")
    with (
        pytest.raises(DataError, match=r"lines\.txt\.part: cannot be written .*make room; the same command goes on"),
        LineFile(path, made_from=[b"this"]) as lines,
    ):
        lines.write("one")


def test_what_is_no_file_keeps_its_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    if not hasattr(os, "mkfifo"):
        pipe.mkdir()
    else:
        os.mkfifo(pipe)
    with pytest.raises(DataError, match="pipe: is no regular file; choose another place, or go without --output"):
        LineFile(pipe, made_from=[])
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert not pipe.is_file()
