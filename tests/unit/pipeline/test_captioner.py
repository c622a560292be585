"""Pictures in, captions out: in order, in batches, and whatever is among them."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regard.data.images import ImageSource, Photo, load_image
from regard.errors import ConfigError, ImageError, ModelError, TextError, WorkerError
from regard.pipeline import Captioner, Translator, load, load_captioner, load_translator
from regard.pipeline.generation import Generation, generate
from regard.pipeline.prefetch import PreparedImage, cut_batches, prepare_image
from regard.results import Caption
from regard.saved.bundle import Bundle, save_bundle


@pytest.fixture
def captioner(tiny_captioner: Bundle) -> Captioner:
    return Captioner(tiny_captioner)


def picture(number: int, *, width: int = 83, height: int = 61) -> Image.Image:
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        picture(number, width=60 + 7 * number, height=50 + 11 * number).save(path)
    return paths


def test_a_caption_holds_words_with_weights_on_the_original_photo(captioner: Captioner, photos: list[Path]) -> None:
    caption = captioner.caption(photos[3])
    assert (caption.path, caption.text) == (str(photos[3]), " ".join(word.text for word in caption.words))
    assert len(caption.words) >= 2
    for word in caption.words:
        assert word.weights.shape == (3, 3)
        assert word.weights.dtype == np.float64
        assert word.weights.sum() == pytest.approx(1, abs=1e-12)
        assert 0 < word.probability <= 1
    assert (caption.regions.width, caption.regions.height) == (81, 83)
    assert caption.regions.rectangles[0] == (0, 0, 27, pytest.approx(83 / 3))
    assert caption.photo.shape == (83, 81, 3)
    assert caption.score >= max(other.score for other in caption.alternatives)
    assert len({caption.text, *(other.text for other in caption.alternatives)}) == 1 + len(caption.alternatives)


def test_a_picture_that_fails_costs_no_other_whatever_it_raises(
    captioner: Captioner, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [str(each) for each in captioner.caption_many(photos)]

    def read(source: ImageSource, *, hint: int | None = None) -> Photo:
        if source == photos[1]:
            raise AssertionError("in a decoder")
        return load_image(source, hint=hint)

    def search_and_fail(*given: Any, numbers: Sequence[int], **options: Any) -> list[Generation]:
        if 2 in numbers:  # the fourth photo, of those that can be read the third
            raise ZeroDivisionError("in a batch")
        return generate(*given, numbers=numbers, **options)

    monkeypatch.setattr("regard.pipeline.prefetch.load_image", read)
    monkeypatch.setattr("regard.pipeline.captioner.generate", search_and_fail)
    results = list(captioner.caption_many(photos))
    assert [i for i, each in enumerate(results) if isinstance(each, ImageError)] == [1, 3]
    assert f"{photos[1]}: failed in a way that regard did not expect (AssertionError: in a decoder)" in str(results[1])
    assert "ZeroDivisionError: in a batch" in str(results[3])
    assert [str(results[i]) for i in (0, 2, 4)] == [expected[i] for i in (0, 2, 4)]


def test_large_photos_are_described_a_few_at_a_time(captioner: Captioner, photos: list[Path]) -> None:
    pictures = [prepare_image(photo, captioner.bundle.model.encoder) for photo in photos]
    errors: list[PreparedImage | ImageError] = [ImageError("a", "is gone")] * 3
    assert [len(each) for each in cut_batches([*pictures, *errors], 4)] == [4, 4]
    large = [replace(each, photo=np.broadcast_to(np.uint8(0), (4000, 3000, 3))) for each in pictures]
    assert [len(each) for each in cut_batches([*errors, *large], 64)] == [4, 1, 1, 1, 1]


def test_the_same_picture_in_every_form_gets_the_same_caption(captioner: Captioner, photos: list[Path]) -> None:
    image = Image.open(photos[0])
    content = photos[0].read_bytes()
    forms = [photos[0], str(photos[0]), image, np.asarray(image), io.BytesIO(content)]
    captions = [captioner.caption(form) for form in forms]
    assert len({caption.text for caption in captions}) == 1
    assert len({caption.score for caption in captions}) == 1


def test_a_batch_gives_what_each_by_itself_gives(captioner: Captioner, photos: list[Path]) -> None:
    alone = [captioner.caption(path, beam=3) for path in photos]
    for batch in (1, 2, 16):
        together = list(captioner.caption_many(photos, batch=batch, beam=3))
        for ours, theirs in zip(together, alone, strict=True):
            assert isinstance(ours, Caption)
            assert (ours.path, ours.text) == (theirs.path, theirs.text)
            assert ours.score == pytest.approx(theirs.score, rel=1e-4)
            for word, other in zip(ours.words, theirs.words, strict=True):
                assert word.weights == pytest.approx(other.weights, abs=1e-4)


def test_broken_files_stand_in_their_place_and_the_others_are_captioned(
    captioner: Captioner, photos: list[Path], tmp_path: Path
) -> None:
    text, empty, short = tmp_path / "text.jpg", tmp_path / "empty.png", tmp_path / "short.png"
    text.write_text("no picture")
    empty.write_bytes(b"")
    short.write_bytes(photos[0].read_bytes()[:100])
    given = [text, photos[0], tmp_path / "none.jpg", photos[1], empty, short, tmp_path, photos[2]]
    for batch in (1, 3, 16):
        results = list(captioner.caption_many(given, batch=batch))
        assert [result.path for result in results] == [str(path) for path in given]
        good = [isinstance(result, Caption) for result in results]
        assert good == [False, True, False, True, False, False, False, True]
        assert results[1].text == captioner.caption(photos[0]).text
    with pytest.raises(ImageError, match="no such file"):
        captioner.caption(tmp_path / "none.jpg")
    assert list(captioner.caption_many([])) == []


def test_pictures_are_asked_for_as_they_are_needed(captioner: Captioner) -> None:
    asked: list[int] = []

    def endless() -> Iterator[Image.Image]:
        for number in range(10_000):
            asked.append(number)
            yield picture(number)

    results = captioner.caption_many(endless(), batch=2)
    assert isinstance(next(results), Caption)
    assert len(asked) <= 6
    results.close()  # type: ignore[attr-defined]


def test_a_large_photo_is_shown_smaller_and_placed_in_full_size(captioner: Captioner, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    picture(0, width=3000, height=1500).save(path)
    caption = captioner.caption(path)
    assert caption.photo.shape == (600, 1200, 3)
    assert caption.regions.rectangles[-1] == pytest.approx((2000, 1000, 3000, 1500))


def test_a_prefix_is_said_first(captioner: Captioner, photos: list[Path]) -> None:
    caption = captioner.caption(photos[0], prefix="Two dogs")
    assert caption.text.startswith("two dogs")
    assert all(other.text.startswith("two dogs") for other in caption.alternatives)
    with pytest.raises(TextError, match="does not know 'zebras'"):
        captioner.caption(photos[0], prefix="two zebras")
    with pytest.raises(ConfigError, match="fills max_length"):
        captioner.caption(photos[0], prefix="a dog sit near a car")


def test_options_change_the_search_of_one_call(captioner: Captioner, photos: list[Path]) -> None:
    assert len(captioner.caption(photos[0]).alternatives) == 2
    assert captioner.caption(photos[0], beam=1).alternatives == ()
    assert len(captioner.caption(photos[0], beam=6, alternatives=5).alternatives) == 5
    assert len(captioner.caption(photos[0], max_length=2).words) == 2
    samples = [captioner.caption(photos[0], samples=2, seed=seed, temperature=4.0).text for seed in (1, 1, 2, 3, 4)]
    assert samples[0] == samples[1]
    assert len(set(samples)) > 1
    with pytest.raises(ConfigError, match="temperature has no effect here"):
        captioner.caption_many(photos, temperature=0.5)


def test_samples_do_not_depend_on_the_batch(captioner: Captioner, photos: list[Path]) -> None:
    runs = [[str(each) for each in captioner.caption_many(photos, batch=batch, samples=1)] for batch in (2, 5)]
    assert runs[0] == runs[1]


def test_what_is_saved_is_what_loads(
    tiny_captioner: Bundle, tiny_translator: Bundle, tmp_path: Path, photos: list[Path]
) -> None:
    captions = save_bundle(tiny_captioner, tmp_path / "captions", precision="float32")
    translations = save_bundle(tiny_translator, tmp_path / "translations")
    assert load_captioner(captions).caption(photos[0]).text == Captioner(tiny_captioner).caption(photos[0]).text
    assert isinstance(load(translations), Translator)
    assert load_translator(translations).languages == ("en", "de")
    with pytest.raises(ModelError, match="translations: is a translator; allowed: a model that describes pictures"):
        load_captioner(translations)
    with pytest.raises(ModelError, match="captions: is a captioner; allowed: a model that translates"):
        load_translator(str(captions))


@pytest.mark.parametrize("device", ["tpu9", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigError, match="is not available here"):
        load(tmp_path, device=device)
    with pytest.raises(ConfigError, match="0 threads"):
        load(tmp_path, threads=0)


def test_attention_stays_in_a_region(captioner: Captioner, photos: list[Path]) -> None:
    held = captioner.caption(photos[0], region=(0.34, 0, 1, 0.6))
    for word in held.words:
        assert word.weights.sum() == pytest.approx(1, abs=1e-6)
        assert not word.weights[:, 0].any()
        assert not word.weights[2].any()
    whole = captioner.caption(photos[0])
    everywhere = captioner.caption(photos[0], region=(0, 0, 1, 1))
    assert (everywhere.text, everywhere.score) == (whole.text, pytest.approx(whole.score, rel=1e-5))
    one = captioner.caption(photos[0], region=(0.7, 0.7, 0.72, 0.72))
    assert all(word.weights[2, 2] == pytest.approx(1) for word in one.words)


def test_photos_are_held_to_a_region_alone_as_in_a_batch(captioner: Captioner, photos: list[Path]) -> None:
    box = (0.2, 0.2, 0.9, 0.9)
    together = list(captioner.caption_many(photos, region=box))
    for result, path in zip(together, photos, strict=True):
        assert isinstance(result, Caption)
        alone = captioner.caption(path, region=box)
        assert result.text == alone.text
        assert result.words[0].weights == pytest.approx(alone.words[0].weights, abs=1e-4)


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 0.9, 1, 0.1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1)])
def test_a_region_that_is_no_part_of_a_photo_is_refused(
    captioner: Captioner, photos: list[Path], box: tuple[float, float, float, float]
) -> None:
    with pytest.raises(ConfigError, match="fractions of the photo"):
        captioner.caption(photos[0], region=box)


def test_captions_after_a_beginning_differ_in_the_next_word(captioner: Captioner, photos: list[Path]) -> None:
    others = captioner.captions_after(photos[0], "two dogs", count=3)
    assert [[word.text for word in each.words[:2]] for each in others] == [["two", "dogs"]] * 3
    assert len({each.words[2].text for each in others}) == 3
    probabilities = [each.words[2].probability for each in others]
    assert probabilities == sorted(probabilities, reverse=True)
    best = captioner.caption(photos[0], prefix=f"two dogs {others[0].words[2].text}")
    assert best.text == others[0].text
    firsts = captioner.captions_after(photos[0], "", count=4, region=(0, 0, 0.5, 0.5))
    assert len({each.words[0].text for each in firsts}) == 4
    assert not any(word.weights[2].any() for each in firsts for word in each.words)


def test_an_inspection_shows_what_the_caption_was_written_from(captioner: Captioner, photos: list[Path]) -> None:
    caption, inspection = captioner.inspect(photos[0], min_length=3)
    assert caption.text == captioner.caption(photos[0], min_length=3).text
    assert [step.text for step in inspection.steps] == [word.text for word in caption.words]
    for step, word in zip(inspection.steps, caption.words, strict=True):
        assert step.weights == pytest.approx(word.weights, abs=1e-5)
        assert step.scores is not None
        exponents = np.exp(step.scores - step.scores.max())
        assert exponents / exponents.sum() == pytest.approx(step.weights, abs=1e-5)
        assert dict(step.next_words).get(step.text, word.probability) == pytest.approx(word.probability, abs=1e-4)
    assert inspection.layers[0].layer == "stem"
    assert inspection.layers[-1].layer == "stage3"
    assert all(each.maps.shape[0] <= 6 and max(each.maps.shape[1:]) <= 28 for each in inspection.layers)


@pytest.mark.parametrize("one", ["ab.jpg", b"", Path("a.jpg"), np.zeros((4, 4, 3), np.uint8)])
def test_one_picture_where_many_are_meant_is_one_line(captioner: Captioner, one: Any) -> None:
    with pytest.raises(ConfigError, match=r"caption_many takes many pictures, and was given one: .*give it to caption"):
        captioner.caption_many(one)


def test_bytes_of_a_file_are_a_picture(captioner: Captioner, photos: list[Path]) -> None:
    assert captioner.caption(photos[0].read_bytes()).text == captioner.caption(photos[0]).text


def test_a_model_is_neither_pickled_nor_used_in_a_fork(captioner: Captioner, photos: list[Path]) -> None:
    with pytest.raises(WorkerError, match=r"a Captioner cannot be pickled; .*workers=2"):
        pickle.dumps(captioner)
    captioner.caption(photos[0])
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            captioner.caption(photos[0])
        except WorkerError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert "loaded before this process was forked" in answer.read()
