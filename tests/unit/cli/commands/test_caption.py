"""``regard caption`` says one line a photo, in order, and goes on after what it cannot read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regard.cli import caption_file, main
from regard.cli.linefile import LineFile
from regard.packed_weights import unpack
from regard.results import Caption

pytestmark = pytest.mark.usefixtures("only_shipped")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of unlike sizes, and between them files that are none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(5)
    Image.fromarray(random.integers(0, 256, (90, 50, 3), np.uint8)).save(folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"")
    (folder / "c.txt").write_text("words")
    (folder / "d.png").write_bytes((folder / "a.jpg").read_bytes()[:300])
    Image.fromarray(random.integers(0, 256, (40, 130), np.uint8)).save(folder / "e.png")
    return folder


def test_every_photo_is_a_line_and_every_other_file_an_error(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "--model", "looker", str(photos), str(photos / "gone.jpg")]) == 1
    out, err = capsys.readouterr()
    assert [Path(line.partition(": ")[0]).name for line in out.splitlines()] == ["a.jpg", "e.png"]
    reasons = [line.removeprefix(f"error: {photos}/") for line in err.splitlines()]
    assert [reason.partition(":")[0] for reason in reasons] == ["b.jpg", "c.txt", "d.png", "gone.jpg"]
    assert all(line.startswith("error: ") for line in err.splitlines())


def test_json_tells_everything(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = str(photos / "[ae].*")
    assert main(["caption", "--model", "looker", "--json", "--beam", "4", "--set", "min_length=2", pattern]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(each["path"]).name for each in lines] == ["a.jpg", "e.png"]
    for each in lines:
        assert set(each) == {"path", "text", "score", "words", "alternatives", "finished", "grid"}
        assert each["text"] == " ".join(word["word"] for word in each["words"])
        assert len(each["words"]) >= 2
        for word in each["words"]:
            assert 0 <= word["probability"] <= 1
            assert sum(map(sum, word["weights"])) == pytest.approx(1, abs=1e-6)
        assert {"text", "score"} == set(each["alternatives"][0])


def test_a_folder_gets_a_page_a_picture_and_data_for_each(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = photos / "more" / "a.jpg"
    twin.parent.mkdir()
    twin.write_bytes((photos / "a.jpg").read_bytes())
    out = photos.parent / "out"
    words = ["caption", "--model", "looker", str(photos / "a.jpg"), str(twin), "--save", str(out)]
    assert main(words) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {f"{name}{suffix}" for name in ("a", "a-2") for suffix in (".html", ".png", ".json")}
    assert json.loads((out / "a-2.json").read_text())["path"] == str(twin)
    assert capsys.readouterr().err == f"saved in {out}\n"


@pytest.mark.parametrize(("count", "kind"), [(1, dict), (2, list)])
def test_a_json_file_holds_one_result_or_a_list(count: int, kind: type, photos: Path, tmp_path: Path) -> None:
    chosen = [str(photos / "a.jpg"), str(photos / "e.png")][:count]
    target = tmp_path / "deep" / "out.json"
    assert main(["caption", "--model", "looker", *chosen, "--save", str(target)]) == 0
    assert type(json.loads(target.read_text())) is kind


def test_one_page_holds_all_photos(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["caption", "--model", "looker", str(photos / "[ae].*"), "--save", str(page)]) == 0
    text = page.read_text()
    assert "a.jpg" in text
    assert "e.png" in text


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--model", "lookr"], "did you mean 'looker'?"),
        (["--set", "beam_size=3"], "did you mean 'beam'?"),
        (["--set", "beam"], "is not an assignment"),
        (["--set", "beam=0"], "beam: input should be greater than or equal to 1"),
        (["--prefix", "purple"], "does not know 'purple'"),
        (["--save", "x.pdf"], "allowed: .html, .png, .json"),
        (["--alternatives", "9"], "raise beam"),
    ],
)
def test_a_wrong_option_is_one_line_before_any_work(
    options: list[str], part: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", "--model", "looker", str(photos / "a.jpg"), *options]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--no-weights"], "--no-weights needs --output"),
        (["--weights", "float16"], "--weights needs --output"),
        (["--weights", "none", "--output", "x.jsonl"], "'none' is not one of 'numbers', 'float16'"),
        (["--weights", "float16", "--no-weights", "--output", "x.jsonl"], "exclude each other"),
        (["--overwrite"], "--overwrite needs --sidecar or --metadata"),
        (["--overwrite", "--server", "http://127.0.0.1:1"], "--overwrite needs"),
        (["--weights", "numbers", "--server", "http://127.0.0.1:1"], "--weights needs --output"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    options: list[str], part: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", "--model", "looker", str(photos / "a.jpg"), *options]) == 2
    assert part in capsys.readouterr().err


def test_several_photos_do_not_fit_one_png(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = photos.parent / "x.png"
    assert main(["caption", "--model", "looker", str(photos / "[ae].*"), "--save", str(target)]) == 1
    assert "file holds one result" in capsys.readouterr().err
    assert not target.exists()


def test_the_words_begin_as_asked(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "--model", "looker", str(photos / "a.jpg"), "--prefix", "two dogs"]) == 0
    assert ": two dogs" in capsys.readouterr().out


def test_a_json_file_of_several_is_a_list_whatever_fails(photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    names = [str(photos / name) for name in ("b.jpg", "a.jpg")]
    assert main(["caption", "--model", "looker", "--save", str(target), *names]) == 1
    failed, described = json.loads(target.read_text())
    assert failed == {"path": names[0], "error": "is empty"}
    assert (described["path"], described["finished"]) == (names[1], False)
    assert main(["caption", "--model", "looker", "--save", str(target), names[1]]) == 0
    assert json.loads(target.read_text()) == described


def test_a_strange_file_name_stays_one_line(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = photos / "line\nbreak.jpg"
    strange.write_bytes((photos / "a.jpg").read_bytes())
    assert main(["caption", "--model", "looker", str(strange)]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_a_page_that_cannot_be_drawn_costs_no_other_and_long_names_are_cut(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "a.jpg").rename(photos / f"{'é' * 124}.jpg")
    save = Caption.save

    def draw(self: Caption, path: str | Path) -> Path:
        if self.path.endswith("e.png"):
            raise ZeroDivisionError("in drawing")
        return save(self, path)

    monkeypatch.setattr(Caption, "save", draw)
    names = [str(photos / "e.png"), str(photos / f"{'é' * 124}.jpg")]
    assert main(["caption", "--model", "looker", "--save", str(tmp_path / "out"), *names]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert f"error: {names[0]}: failed in a way that regard did not expect (ZeroDivisionError: in drawing)" in err
    assert (tmp_path / "out" / f"{'é' * 100}.png").is_file()


def rows_of(path: Path) -> list[dict[str, object]]:
    """The rows of a file of captions, as path, caption and error."""
    names = ("path", "caption", "error")
    if path.suffix == ".parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table(path)
        return [{name: row[name] for name in names} for row in table.to_pylist()]
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        values = [json.loads(line) for line in text.splitlines()]
        return [{"path": v["path"], "caption": v.get("text"), "error": v.get("error")} for v in values]
    delimiter = "," if path.suffix == ".csv" else "\t"
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    return [{name: row[name] or None for name in names} for row in rows]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_a_file_gets_a_row_for_every_photo(
    photos: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"captions{suffix}"
    assert main(["caption", "--model", "looker", str(photos), "--output", str(output)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("error: ") == 3
    rows = rows_of(output)
    assert [Path(str(row["path"])).name for row in rows] == ["a.jpg", "b.jpg", "c.txt", "d.png", "e.png"]
    assert [row["error"] is None for row in rows] == [row["caption"] is not None for row in rows]
    assert [row["error"] is None for row in rows] == [True, False, False, False, True]
    assert main(["caption", "--model", "looker", "--json", str(photos)]) == 1
    values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value.get("text") for value in values] == [row["caption"] for row in rows]
    assert [value.get("error") for value in values] == [row["error"] for row in rows]
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith((".captions", "captions"))] == [
        output.name
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".csv", ".parquet"])
def test_a_file_that_was_stopped_anywhere_ends_in_the_same_bytes(
    photos: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_file, "CHUNK", 2)
    whole, stopped = tmp_path / f"whole{suffix}", tmp_path / f"stopped{suffix}"
    command = ["caption", "--model", "looker", str(photos), "--no-weights", "--output"]
    assert main([*command, str(whole)]) == 1
    write, left = LineFile.write, 0

    def stop(self: LineFile, line: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        write(self, line)

    monkeypatch.setattr(LineFile, "write", stop)
    statuses = []
    for left in (1, 1, 2, 1, 9):  # noqa: B007 - what stop() counts down
        statuses.append(main([*command, str(stopped)]))
        if statuses[-1] != 130:
            break
    assert statuses[0] == 130
    assert statuses[-1] == 1
    assert stopped.read_bytes() == whole.read_bytes()


def test_without_weights_and_where_no_captions_can_be_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "captions.jsonl"
    photo = str(photos / "a.jpg")
    assert main(["caption", "--model", "looker", photo, "--no-weights", "--output", str(output)]) == 0
    (value,) = [json.loads(line) for line in output.read_text().splitlines()]
    assert all("weights" not in word and {"word", "probability"} <= set(word) for word in value["words"])
    assert main(["caption", "--model", "looker", photo, "--output", str(tmp_path / "captions.xlsx")]) == 1
    assert ".parquet" in capsys.readouterr().err
    assert main(["caption", "--model", "looker", photo, "--output", str(output), "--save", str(tmp_path)]) == 2


def test_packed_weights_are_those_of_json(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(photos / "a.jpg")
    command = ["caption", "--model", "looker", photo, "--output"]
    for name in ("numbers.jsonl", "packed.jsonl", "packed.parquet"):
        assert main([*command, str(tmp_path / name), *(["--weights", "float16"] * name.startswith("packed"))]) == 0
    numbers, packed = (json.loads((tmp_path / f"{name}.jsonl").read_text()) for name in ("numbers", "packed"))
    expected = np.array([word.pop("weights") for word in numbers["words"]])
    weights = [unpack(*word.pop("weights").values()) for word in packed["words"]]
    np.testing.assert_allclose(weights, expected, atol=1e-3)
    assert packed == numbers
    (row,) = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "packed.parquet").to_pylist()
    np.testing.assert_array_equal(unpack(row["weights"], row["shape"]), weights)
    assert row["words"] == [word["word"] for word in numbers["words"]]
    assert main([*command, str(tmp_path / "packed.csv"), "--weights", "float16"]) == 1
    assert "holds no packed weights; allowed: .jsonl, .parquet" in capsys.readouterr().err


def test_sidecars_are_written_beside_photos_with_and_without_a_file(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["caption", "--model", "looker", str(photos / "a.jpg"), str(photos / "e.png")]
    command += ["--sidecar", "--metadata", str(tmp_path / "x")]
    assert main(command) == 0
    texts = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert [(photos / f"{name}.txt").read_text() for name in "ae"] == [f"{text}\n" for text in texts]
    (photos / "e.txt").write_text("mine")
    assert main([*command, "--output", str(tmp_path / "captions.txt")]) == 1
    assert (tmp_path / "captions.txt").read_text().splitlines() == texts
    assert "e.txt is there and says something else; --overwrite" in capsys.readouterr().err
    assert (photos / "e.txt").read_text() == "mine"
    with Image.open(tmp_path / "x" / "a.jpg") as image:
        assert image.getexif()[0x010E] == texts[0]
