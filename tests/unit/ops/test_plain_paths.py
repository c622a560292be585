"""Fused paths can be left out for a while, whatever the environment says."""

from __future__ import annotations

import threading

import pytest

from regard.ops import plain_paths, use_reference


def test_fused_paths_come_back_behind_the_block_and_stay_in_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGARD_REFERENCE", raising=False)
    elsewhere: list[bool] = []
    with plain_paths():
        assert use_reference()
        thread = threading.Thread(target=lambda: elsewhere.append(use_reference()))
        thread.start()
        thread.join()
    assert not use_reference()
    assert elsewhere == [False]


def test_fused_paths_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGARD_REFERENCE", raising=False)
    with pytest.raises(ValueError, match="stop"), plain_paths():
        raise ValueError("stop")
    assert not use_reference()


def test_the_environment_is_asked_outside_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "1")
    with plain_paths():
        assert use_reference()
    assert use_reference()
