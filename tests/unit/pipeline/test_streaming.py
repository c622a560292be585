"""Words that are reported while a search goes on stay, and the result is that of a search without a report."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regard.pipeline import Captioner, Translator
from regard.results import Caption, Translation
from regard.saved.bundle import Bundle


def photo(number: int) -> io.BytesIO:
    coarse = Image.fromarray(np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((83, 61), Image.Resampling.BICUBIC).save(file, format="PNG")
    file.seek(0)
    file.name = "photo"
    return file


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 1},
        {"beam": 1, "region": (0.0, 0.0, 0.5, 1.0)},
        # whatever else a beam holds, its hypotheses agree on the prefix
        {"beam": 3, "prefix": "two dogs"},
        {"beam": 2, "prefix": "two dogs", "region": (0.0, 0.0, 0.5, 1.0)},
    ],
)
def test_a_caption_is_reported_before_its_search_ends(tiny_captioner: Bundle, options: dict[str, Any]) -> None:
    captioner = Captioner(tiny_captioner)
    for number in range(3):
        partial: list[Caption] = []
        whole = captioner.stream(photo(number), partial.append, **options)
        alone = captioner.caption(photo(number), **options)
        assert (whole.text, len(whole.alternatives)) == (alone.text, len(alone.alternatives))
        assert whole.score == pytest.approx(alone.score, abs=1e-5)
        assert partial
        for each in partial:
            assert not each.finished
            words = [word.to_dict() for word in whole.words]
            assert [word.to_dict() for word in each.words] == words[: len(each.words)]


@pytest.mark.parametrize("beam", [1, 3])
def test_a_translation_is_reported_over_the_whole_source(tiny_translator: Bundle, beam: int) -> None:
    translator, options = Translator(tiny_translator), {"beam": beam, "prefix": "A dog"}
    for text in ("A dog runs. Two girls sing near a man.", "A man sleeps"):
        partial: list[Translation] = []
        whole = translator.stream(text, partial.append, **options)
        assert whole.text == translator.translate(text, **options).text
        assert partial
        for each in partial:
            words = len(each.words)
            assert each.to_dict()["words"] == whole.to_dict()["words"][:words]
            assert np.allclose(each.alignment, whole.alignment[:words])
        lengths = [len(each.words) for each in partial]
        assert lengths == sorted(set(lengths))


def test_an_empty_text_is_reported_by_nothing(tiny_translator: Bundle) -> None:
    partial: list[Translation] = []
    assert Translator(tiny_translator).stream("", partial.append).text == ""
    assert not partial
