"""The plain-data form of results, and what saving promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regard.errors import ConfigError, DataError
from regard.result_views import save_together
from regard.results import Caption, TranslatedCaption, Translation, Word, exact_sums


def test_a_caption_as_data(caption) -> None:
    data = caption.to_dict()
    assert list(data) == ["path", "text", "score", "words", "alternatives", "finished", "grid"]
    assert data["grid"]["columns"][0] == [0, pytest.approx(1 / 7)]
    assert (len(data["grid"]["rows"]), data["grid"]["width"]) == (7, caption.regions.width)
    assert (data["path"], data["text"], data["score"]) == ("beach.jpg", "A dog runs on the beach.", -0.75)
    assert data["alternatives"] == [{"text": "a dog on a beach", "score": -1.25}, {"text": "dogs run", "score": -2.5}]
    assert [word["word"] for word in data["words"]] == ["a", "dog", "runs", "on", "the", "beach", "."]
    for word in data["words"]:
        assert list(word) == ["word", "probability", "weights"]
        assert np.array(word["weights"]).shape == (7, 7)
        assert sum(sum(row) for row in word["weights"]) == pytest.approx(1, abs=1e-12)
    assert json.loads(json.dumps(data)) == data


def test_a_translation_as_data(translation) -> None:
    data = translation.to_dict()
    assert list(data) == [
        "source",
        "text",
        "score",
        "source_words",
        "words",
        "alignment",
        "alternatives",
        "finished",
        "unfamiliar",
    ]
    assert data["source_words"] == ["A", "dog", "runs", "on", "the", "beach", "."]
    assert data["words"][1] == {"word": "Hund", "probability": 0.5}
    assert len(data["alignment"]) == len(data["words"])
    assert all(sum(row) == pytest.approx(1, abs=1e-12) for row in data["alignment"])


def test_a_translated_caption_as_data(translated) -> None:
    data = translated.to_dict()
    assert data["text"] == translated.caption.text
    assert data["translation"]["text"] == translated.text == "Ein Hund läuft am Strand."
    assert all(np.array(word["weights"]).sum() == pytest.approx(1) for word in data["translation"]["words"])
    assert all(sum(row) == pytest.approx(1) for row in data["translation"]["alignment"])


def test_rounded_rows_sum_to_one_and_keep_zeros_at_zero() -> None:
    rows = np.random.default_rng(0).dirichlet(np.full(196, 0.05), size=50).astype(np.float32)
    rows[:, 190:] = 0
    exact = exact_sums(rows)
    assert np.abs(exact.sum(axis=1) - 1).max() < 1e-12
    assert np.all(exact[:, 190:] == 0)
    assert exact.min() >= 0
    assert np.abs(exact - rows / rows.sum(axis=1, keepdims=True)).max() < 2e-6


def test_a_result_reads_as_its_text(caption, translation, translated) -> None:
    assert str(caption) == "A dog runs on the beach."
    assert str(translation) == str(translated) == "Ein Hund läuft am Strand."


def test_pharaoh_links_each_target_word_to_what_it_looked_at_most(make_translation) -> None:
    result: Translation = make_translation("a b c", "x y z w")
    alignment = np.array([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.6, 0.3]])
    swapped = Translation(
        result.source, result.text, result.score, result.source_words, result.words, alignment, (), True
    )
    assert swapped.pharaoh() == "0-1 1-0 1-3 2-2"


@pytest.mark.parametrize("name", ["result.html", "result.png", "result.json", "RESULT.PNG"])
def test_a_result_saves_as_its_suffix_says(caption, translation, translated, tmp_path, name) -> None:
    for folder, result in (("a", caption), ("b", translation), ("c", translated)):
        path = result.save(tmp_path / folder / "deeper" / name)
        content = path.read_bytes()
        starts = {".html": b"<!doctype html>", ".png": b"\x89PNG", ".json": b"{"}
        assert content.startswith(starts[path.suffix.lower()])
        assert [each.name for each in path.parent.iterdir()] == [name]


def test_json_on_disk_is_the_data(caption, tmp_path) -> None:
    assert json.loads(caption.save(tmp_path / "a.json").read_text(encoding="utf-8")) == caption.to_dict()


@pytest.mark.parametrize("suffix", [".html", ".png", ".json"])
def test_the_same_result_gives_the_same_bytes(translated, tmp_path, suffix) -> None:
    first = translated.save(tmp_path / f"a{suffix}").read_bytes()
    assert translated.save(tmp_path / f"b{suffix}").read_bytes() == first


@pytest.mark.parametrize("name", ["result.pdf", "result", "result.", ".html.gz", ""])
def test_another_suffix_is_refused_with_the_allowed_ones(caption, tmp_path, name) -> None:
    with pytest.raises(ConfigError, match=r"\.html, \.png, \.json"):
        caption.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_line(caption, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written .*choose another place"):
        caption.save(tmp_path / "file" / "a.json")


@pytest.mark.parametrize("name", ["a" * 300 + ".json", "null\x00character.json"])
def test_a_name_that_the_system_refuses_leaves_nothing_behind(caption, tmp_path, name) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        caption.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_whole(caption, tmp_path, monkeypatch) -> None:
    path = caption.save(tmp_path / "a.json")
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(DataError, match="no space left on device"):
        caption.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_several_results_save_together(caption, translation, translated, tmp_path) -> None:
    results = [caption, translation, translated]
    page = save_together(results, tmp_path / "all.html", title="Holiday").read_text(encoding="utf-8")
    assert page.count("<article") == 3
    listed = json.loads(save_together(results, tmp_path / "all.json").read_text(encoding="utf-8"))
    assert listed == [result.to_dict() for result in results]
    with pytest.raises(ConfigError, match=r"a \.png file holds one result"):
        save_together(results, tmp_path / "all.png")
    with pytest.raises(ConfigError, match=r"\.html, \.png, \.json"):
        save_together(results, tmp_path / "all.txt")


def test_a_file_name_of_undecodable_bytes_survives(make_caption, tmp_path) -> None:
    caption: Caption = make_caption(path="\udcff.jpg")
    assert json.loads(caption.save(tmp_path / "a.json").read_text(encoding="utf-8"))["path"] == "\udcff.jpg"
    assert caption.save(tmp_path / "a.html").stat().st_size > 0
    assert caption.save(tmp_path / "a.png").stat().st_size > 0


def test_results_without_words_save_too(make_caption, tmp_path) -> None:
    caption: Caption = make_caption("")
    empty = Translation("", "", 0.0, (), (), np.zeros((0, 0)), (), True)
    for index, result in enumerate((caption, empty, TranslatedCaption(caption, empty))):
        for suffix in (".html", ".png", ".json"):
            assert result.save(tmp_path / f"{index}{suffix}").stat().st_size > 0
    assert empty.pharaoh() == ""


def test_a_wrong_shape_is_ours_to_notice(caption) -> None:
    with pytest.raises(AssertionError, match="sum to 1"):
        Word("dog", 0.5, np.ones((7, 7)))
    with pytest.raises(AssertionError, match="shape of the grid"):
        Caption("a", "a", 0.0, (Word("a", 0.5, np.full((2, 2), 0.25)),), (), True, caption.photo, caption.regions)
    with pytest.raises(AssertionError, match="uint8"):
        Caption("a", "a", 0.0, (), (), True, caption.photo / 255, caption.regions)
    with pytest.raises(AssertionError, match="scores are numbers"):
        Caption("a", "a", float("nan"), (), (), True, caption.photo, caption.regions)


def test_results_need_no_torch_and_draw_nothing_until_they_are_saved() -> None:
    code = "import sys, regard.results; sys.exit(any(name in sys.modules for name in ('torch', 'PIL', 'regard.views')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_saved_png_opens(caption, tmp_path: Path) -> None:
    with Image.open(caption.save(tmp_path / "a.png")) as image:
        image.load()
        assert image.mode == "RGB"
