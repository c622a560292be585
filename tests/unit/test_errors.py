"""Errors travel between processes as they are."""

from __future__ import annotations

import copy
import pickle

import pytest

from regard.errors import DependencyError, ImageError, RegardError, TextError


@pytest.mark.parametrize(
    "error",
    [
        RegardError("a word", allowed="numbers", remedy="give one"),
        ImageError("a/b.jpg", "is empty", allowed="JPEG"),
        TextError("too long"),
        DependencyError("onnx", extra="onnx", purpose="exporting"),
    ],
)
def test_an_error_is_sent_and_copied_whole(error: RegardError) -> None:
    for same in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(same) is type(error)
        assert (str(same), vars(same), same.args) == (str(error), vars(error), error.args)
