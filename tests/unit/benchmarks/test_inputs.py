"""What is measured on, where the data are not there: made up, with their lengths, and said to be so."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image

from inputs import (
    CAPTION_VOCABULARY,
    SENTENCE_VOCABULARY,
    SPECIALS,
    assemble_sentences,
    caption_batches,
    made_up,
    photos,
    sentence_batches,
)
from regard.text.vocabulary import BOS, EOS, PAD

pytestmark = pytest.mark.usefixtures("no_data")


def test_captions_come_in_full_batches_from_short_to_long() -> None:
    captions = caption_batches(images=6, captions=3, batches=4)
    assert captions.origin.startswith("random captions")
    assert [tuple(batch.lengths.shape) for batch in captions.batches] == [(6, 3)] * 4
    assert all(shorter.num_tokens <= longer.num_tokens for shorter, longer in pairwise(captions.batches))
    assert captions.num_tokens == sum(int(batch.lengths.sum()) for batch in captions.batches)
    highest = max(int(batch.tokens.max()) for batch in captions.batches)
    assert SPECIALS <= highest < CAPTION_VOCABULARY == captions.vocabulary


def test_sentences_are_ids_that_both_sides_can_read() -> None:
    sentences = sentence_batches("val", sentences=5, batches=3)
    assert sentences.origin.startswith("random sentences")
    for batch, assembled in zip(sentences.batches, sentences.assembled(), strict=True):
        for source, target in batch:
            assert source[-1] == 2
            assert min([*source[:-1], *target]) >= SPECIALS
            assert max([*source, *target]) < SENTENCE_VOCABULARY
        assert assembled.num_tokens == sum(len(target) + 1 for _, target in batch)
    assert sentences.num_tokens == sum(batch.num_tokens for batch in sentences.assembled())


def test_lengths_follow_what_is_asked_for() -> None:
    lengths = torch.tensor([[len(each) for each in row] for row in made_up(400, 5, 50, (10.8, 3.7, 3, 22))]).double()
    assert lengths.mean() == pytest.approx(10.8, abs=0.3)
    assert lengths.std() == pytest.approx(3.7, abs=0.3)
    assert (int(lengths.min()), int(lengths.max())) == (3, 22)


def test_made_up_photos_can_be_opened(tmp_path: Path) -> None:
    paths, origin = photos(3, made_in=tmp_path)
    assert origin.startswith("made-up")
    sizes = set()
    for path in paths:
        with Image.open(path) as image:
            sizes.add((image.format, image.size))
    assert sizes == {("JPEG", (224, 224))}


def test_sentences_carry_their_sources_in_the_same_order() -> None:
    batch = assemble_sentences([[5, EOS], [6, 7, 8, EOS], [EOS]], [[10], [11, 12], [13, 14, 15]])
    assert batch.order.tolist() == [2, 1, 0]
    assert batch.sources.tolist() == [[EOS, PAD, PAD, PAD], [6, 7, 8, EOS], [5, EOS, PAD, PAD]]
    assert batch.source_mask.tolist() == [[True, False, False, False], [True] * 4, [True, True, False, False]]
    assert batch.tokens.tolist() == [[[BOS, 13, 14, 15]], [[BOS, 11, 12, PAD]], [[BOS, 10, PAD, PAD]]]
    moved = batch.to("cpu")
    assert type(moved) is type(batch)
    assert moved.sources.equal(batch.sources)
