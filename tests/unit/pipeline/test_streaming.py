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
    "options", [{"beam": 1}, {"beam": 3}, {"beam": 3, "region": (0.0, 0.0, 0.5, 1.0)}, {"beam": 2, "prefix": "two"}]
)
def test_a_caption_is_reported_word_by_word(tiny_captioner: Bundle, options: dict[str, Any]) -> None:
    captioner, num_reports = Captioner(tiny_captioner), 0
    for number in range(4):
        partial: list[Caption] = []
        whole = captioner.stream(photo(number), partial.append, **options)
        alone = captioner.caption(photo(number), **options)
        assert (whole.text, len(whole.alternatives)) == (alone.text, len(alone.alternatives))
        assert whole.score == pytest.approx(alone.score, abs=1e-5)
        num_reports += len(partial)
        for each in partial:
            assert not each.finished
            assert [word.to_dict() for word in each.words] == [word.to_dict() for word in whole.words][
                : len(each.words)
            ]
    assert num_reports >= (4 if options["beam"] == 1 else 0)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_translation_is_reported_over_the_whole_source(tiny_translator: Bundle, beam: int) -> None:
    translator = Translator(tiny_translator)
    partial: list[Translation] = []
    for text in ("A dog runs. Two girls sing near a man.", "A man sleeps", ""):
        partial.clear()
        whole = translator.stream(text, partial.append, beam=beam)
        assert whole.text == translator.translate(text, beam=beam).text
        for each in partial:
            words = len(each.words)
            assert each.to_dict()["words"] == whole.to_dict()["words"][:words]
            assert np.allclose(each.alignment, whole.alignment[:words])
        lengths = [len(each.words) for each in partial]
        assert lengths == sorted(set(lengths))
