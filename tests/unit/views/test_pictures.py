"""Sheets and matrices: sizes, letters, and where things are drawn."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from regard.results import Caption, Word
from regard.views import text_drawing
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


def test_a_sheet_says_when_a_caption_is_not_sure(caption) -> None:
    sure, unsure, unknown = (np.asarray(contact_sheet(replace(caption, confidence=each))) for each in (0.9, 0.1, None))
    assert np.array_equal(sure, unknown)
    assert not np.array_equal(sure, unsure)
    assert np.array_equal(sure[100:], unsure[100:])


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


def _is_box(letter: str) -> bool:
    """Whether the letter is drawn as the box for what a font lacks."""
    drawn, box = (np.asarray(text_mask(each, 40)) for each in (letter, "\ue000"))
    return drawn.shape == box.shape and bool((drawn == box).all())


@pytest.mark.parametrize("letter", list("äöüÄÖÜßéèêëçñåâîïôûùœžščřńőąę–„×−▁ğşяθ개뷰힝ㅋ"))
def test_letters_of_the_languages_we_write_are_drawn(letter, monkeypatch) -> None:
    monkeypatch.setattr(text_drawing, "_SYSTEM_FONTS", ())
    assert np.asarray(text_mask(letter, 40)).max() == 255
    assert not _is_box(letter)


def test_every_hangul_syllable_of_ks_x_1001_is_in_the_font() -> None:
    codes = [bytes([row, cell]) for row in range(0xB0, 0xC9) for cell in range(0xA1, 0xFF)]
    assert len(codes) == 2350
    assert all(text_drawing._is_covered(code.decode("euc_kr")) for code in codes)


def test_letters_of_our_own_font_are_the_same_on_every_machine(monkeypatch) -> None:
    text = "Ein Hund läuft. 개가 달린다."
    drawn = np.asarray(text_mask(text, 24))
    monkeypatch.setattr(text_drawing, "_SYSTEM_FONTS", ())
    assert np.array_equal(np.asarray(text_mask(text, 24)), drawn)
    assert text_width(text, 24) == drawn.shape[1]


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
