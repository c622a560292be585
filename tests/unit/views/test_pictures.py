"""Sheets and matrices: sizes, letters, and where things are drawn."""

import numpy as np
import pytest
from PIL import Image

from regard.results import Caption, Word
from regard.views.alignment_matrix import alignment_matrix
from regard.views.contact_sheet import contact_sheet
from regard.views.text_drawing import draw_text, fit, text_mask, text_width, wrap


def _with_words(caption: Caption, count: int, photo: np.ndarray) -> Caption:
    words = tuple(Word(f"word{i}", 0.5, caption.words[0].weights) for i in range(count))
    text = " ".join(word.text for word in words)
    return Caption("photo.jpg", text, 0.0, words, (), True, photo, caption.regions)


@pytest.mark.parametrize("count", [0, 1, 7, 25, 60])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (2000, 100), (60, 900), (1, 1)])
def test_a_sheet_has_a_sane_size_for_any_photo_and_length(caption, count, size) -> None:
    photo = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    image = contact_sheet(_with_words(caption, count, photo))
    assert 200 <= image.width <= 4200
    assert 130 <= image.height <= 4000
    if count >= 7 and 0.5 < size[0] / size[1] < 2:
        assert 0.6 < image.width / image.height < 3


def test_a_sheet_shows_the_photo_and_one_tile_a_word(caption) -> None:
    photo = np.full((200, 300, 3), (0, 200, 0), dtype=np.uint8)
    pixels = np.asarray(contact_sheet(_with_words(caption, 5, photo)))
    assert (pixels == (0, 200, 0)).all(axis=2).sum() == 300 * 200
    # the photo's green under the veil, at the far corner of every look
    dimmed = (pixels[..., 1] > pixels[..., 0] + 15) & (pixels[..., 1] < 100)
    assert dimmed.sum() > 5 * 300 * 200 / 2


def test_a_matrix_is_dark_where_the_weight_is(make_translation) -> None:
    result = make_translation("a b c d", "x y z")
    image = np.asarray(alignment_matrix(result).convert("L")).astype(int)
    # cells are 52 pixels; the grid ends 36 pixels above the lower edge
    left = _grid_left(image)
    top = image.shape[0] - 36 - 3 * 52
    shade = [[image[top + 52 * r + 6, left + 52 * c + 26] for c in range(4)] for r in range(3)]
    order = np.argsort(np.array(shade).ravel(), kind="stable")
    assert order[0] == result.alignment.argmax()
    assert np.corrcoef(np.array(shade).ravel(), result.alignment.ravel())[0, 1] < -0.95


def _grid_left(image: np.ndarray) -> int:
    """The first column of the lowest row of cells: their outline is the leftmost thing that low."""
    line = image[image.shape[0] - 36 - 10]
    return int(np.flatnonzero(line < 250)[0]) - 1


def test_a_long_matrix_is_bounded_and_says_so(make_translation) -> None:
    text = " ".join(f"w{i}" for i in range(300))
    image = alignment_matrix(make_translation(text, text))
    assert max(image.size) < 4500


@pytest.mark.parametrize("letter", list("äöüÄÖÜßéèêëçñåâîïôûùœžščřńőąę–„×ğş"))
def test_letters_of_the_languages_we_write_are_drawn(letter) -> None:
    drawn = np.asarray(text_mask(letter, 40))
    box = np.asarray(text_mask("\ue000", 40))
    assert drawn.max() == 255
    assert drawn.shape != box.shape or (drawn != box).any()


@pytest.mark.parametrize(("plain", "marked"), [("a", "ä"), ("o", "ö"), ("U", "Ü"), ("e", "é"), ("n", "ñ"), ("c", "ç")])
def test_a_mark_adds_to_its_letter_and_changes_nothing_else(plain, marked) -> None:
    before, after = (np.asarray(text_mask(letter, 60)).astype(int) for letter in (plain, marked))
    assert before.shape == after.shape
    added = after - before
    assert added.min() >= -2
    rows = np.flatnonzero(added.max(axis=1) > 100)
    letter_rows = np.flatnonzero(before.max(axis=1) > 100)
    assert rows.max() < letter_rows.min() + 4 or rows.min() > letter_rows.max() - 6


def test_an_i_loses_its_dot_to_a_mark() -> None:
    def ink_in_top(letter: str) -> int:
        return int((np.asarray(text_mask(letter, 80))[:40] > 128).sum())

    assert ink_in_top("ï") > ink_in_top("i")
    middle = np.asarray(text_mask("ï", 80))
    assert middle[20:36, middle.shape[1] // 2].max() < 128


def test_precomposed_and_combining_letters_look_the_same() -> None:
    assert np.array_equal(np.asarray(text_mask("läuft", 30)), np.asarray(text_mask("la\u0308uft", 30)))


@pytest.mark.parametrize("text", ["\x00\x07", "\udc80", "\ue000\U000f0000", "a\nb\tc", "", "   ", "\u202eabc"])
def test_no_text_breaks_the_picture(text) -> None:
    image = Image.new("RGB", (200, 60), (255, 255, 255))
    draw_text(image, (5, 5), text, size=24, fill=(0, 0, 0))
    assert text_width(text, 24) >= 0


def test_text_is_cut_to_its_place() -> None:
    long = "word " * 50
    assert text_width(fit(long, 200, 20), 20) <= 200
    assert fit("word", 200, 20) == "word"
    lines = wrap(long, 200, 20, lines=3)
    assert len(lines) == 3
    assert all(text_width(line, 20) <= 200 for line in lines)
    assert lines[-1].endswith("…")
    assert wrap("a b", 200, 20, lines=3) == ["a b"]
    assert wrap("", 200, 20, lines=3) == []
    assert text_width(wrap("x" * 100_000, 200, 20, lines=2)[0], 20) <= 200
