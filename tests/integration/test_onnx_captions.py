"""The shipped captioner says the same through ONNX Runtime as through torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regard.cli.commands.demo import sample_photos
from regard.data.readers import read_captioned_images
from regard.pipeline import Captioner, load_captioner

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

DATA = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / "../shared/data")) / "flickr8k"
EVERY = 25
"""One image in so many of the development split is captioned: 40 of 1,000."""


@pytest.fixture(scope="module")
def captioners(tmp_path_factory: pytest.TempPathFactory) -> tuple[Captioner, Captioner]:
    """With torch and with ONNX Runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_captioner("flickr8k"), load_captioner("flickr8k", runtime="onnx")


def said(captioner: Captioner, paths: list[str]) -> list[str]:
    return [getattr(each, "text", str(each)) for each in captioner.caption_many(paths, beam=5, alternatives=0)]


def test_the_sample_photos(captioners: tuple[Captioner, Captioner]) -> None:
    pytest.importorskip("skimage", reason="its sample photos are not installed")
    photos = sample_photos()
    one, other = (said(each, photos) for each in captioners)
    assert len(set(one)) > 1
    assert one == other


@pytest.mark.skipif(not DATA.is_dir(), reason="the images of Flickr8k are not here; REGARD_DATA names their folder")
def test_images_of_flickr8k(captioners: tuple[Captioner, Captioner]) -> None:
    paths = [str(path) for path in read_captioned_images(DATA, "dev").paths[::EVERY]]
    one, other = (said(each, paths) for each in captioners)
    assert len(set(one)) > len(paths) // 2
    assert one == other
