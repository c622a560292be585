"""Lines end where the formats say, and what is not UTF-8 is named by line and byte."""

from pathlib import Path

import pytest

from regard.data.lines import count_lines, decode_lines, iterate_lines, read_lines
from regard.errors import DataError, TextError


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb", ["a", "b"]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\n b \n\n", ["a", "", " b ", ""]),
        (b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
        (b"a\rb\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8c\n", ["a\rb\x0b\x0c\x1c\x85\u2028c"]),
        (b"\x00\n\xf0\x9f\x90\x95", ["\x00", "🐕"]),
    ],
)
def test_lines(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    path = tmp_path / "text.en"
    path.write_bytes(content)
    assert read_lines(path) == list(iterate_lines(path)) == lines
    assert count_lines(path) == len(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"one\ntwo \xfc\n",
            "line 2 is not UTF-8 (byte 5 of the line is 0xfc, 'ü' in Latin-1); convert the file to UTF-8",
        ),
        (b"\xef\xbb\xbf\xe9\n", "line 1 is not UTF-8 (byte 1 of the line is 0xe9, 'é' in Latin-1)"),
        ("hello\n".encode("utf-16"), "is UTF-16"),
    ],
)
def test_other_encodings_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "text.en"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_lines(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_line_that_is_not_utf8_has_its_error_in_its_place() -> None:
    lines = list(decode_lines([b"\xef\xbb\xbfone\r\n", b"\xff\n", b"three"], origin="it"))
    assert lines[::2] == ["one", "three"]
    assert isinstance(lines[1], TextError)
    assert str(lines[1]) == "is not UTF-8 (byte 1 of the line is 0xff, 'ÿ' in Latin-1); save it as UTF-8"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_lines(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(tmp_path)
