"""Whatever a manifest holds, the answer is a report or one line: never another error, never silence."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from regard.data.check import check
from regard.data.parallel import read_parallel
from regard.data.readers import read_captioned_images
from regard.errors import RegardError

Answer = TypeVar("Answer")

FLICKR = "a.jpg#0\tA dog .\na.jpg#1\tThe dog .\nb.jpg#0\tA cat .\n"
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "caption": "A dog."}, {"id": 2, "image_id": 2, "caption": "A cat."}],
    }
)
KARPATHY = json.dumps(
    {"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A dog.", "tokens": ["a", "dog"]}]}]}
)
MANIFESTS = {
    "Flickr8k.token.txt": FLICKR,
    "captions.csv": 'image,caption\na.jpg,"A dog, ""here"""\nb.jpg,A cat\n',
    "results.csv": "image_name| comment_number| comment\na.jpg| 0| A dog .\nb.jpg| 1| A cat .\n",
    "captions.tsv": "a.jpg\tA dog\nb.jpg\tA cat\n",
    "train.jsonl": '{"image": "a.jpg", "caption": "A dog"}\n{"image": "b.jpg", "captions": ["A cat"]}\n',
    "captions_train.json": COCO,
    "dataset.json": KARPATHY,
    "a.txt": "A dog.\nThe dog.\n",
    "train.csv": "English,German\nA dog,Ein Hund\nA cat,Eine Katze\n",
    "pairs.jsonl": '{"en": "A dog", "de": "Ein Hund"}\n{"translation": {"en": "A cat", "de": "Eine Katze"}}\n',
}
ODD = st.sampled_from(
    b'\xff|\xef\xbb\xbf|\xff\xfe|\0|"|""|\r|\n|\r\n|\t|#|{|[|\\|\\ud800|null|-1|1e999|,,,,|NaN'.split(b"|")
) | st.sampled_from([b"|", b"[" * 2000, b"../" * 9, "\u2028".encode(), "e\u0301".encode()])
DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 40),
        ODD | st.binary(max_size=6) | st.text(string.printable, max_size=6).map(str.encode),
    ),
    max_size=5,
)


@pytest.mark.parametrize("name", MANIFESTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=DAMAGE)
def test_a_damaged_manifest_gets_a_clear_answer(name: str, damage: list[tuple[int, int, bytes]]) -> None:
    data = MANIFESTS[name].encode()
    for start, length, put in damage:
        data = data[:start] + put + data[start + length :]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for image, colour in (("a.jpg", "red"), ("b.jpg", "blue")):
            Image.new("RGB", (16, 16), colour).save(folder / image)
        (folder / name).write_bytes(data)
        _ask(folder)


def _ask(folder: Path) -> None:
    report, refusal = _answer(lambda: check(folder))
    assert refusal is None or 0 < len(refusal) < 1500
    if report is not None:
        assert report.problems or any(split.count for split in report.splits) or report.kind == "sentences"
        for problem in report.problems:
            assert "\n" not in str(problem)
            assert problem.reason
            assert len(str(problem)) < 1000
    _answer(lambda: read_captioned_images(folder, "train", strict=False))
    _answer(lambda: read_parallel(folder, "train", source="en", target="de", strict=False))


def _answer(read: Callable[[], Answer]) -> tuple[Answer | None, str | None]:
    """What was read, or why it was refused; anything but an error of ours is a failure."""
    try:
        return read(), None
    except RegardError as error:
        refusal = str(error)
    assert "\n" not in refusal
    return None, refusal
