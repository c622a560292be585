"""Which translator a command takes: the one for both languages, or the usual one where only the source is named."""

from __future__ import annotations

import pytest

from regard.cli import languages
from regard.cli.languages import find_translator
from regard.errors import ModelError

NAMES = {("en", "de"): "a", ("en", "ko"): "b", ("de", "en"): "c", ("fr", "de"): "d", ("fr", "en"): "e"}


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "translators", lambda: NAMES)


@pytest.mark.parametrize(
    ("source", "target", "name"),
    [("en", "ko", "b"), ("en", "de", "a"), ("en", None, "a"), ("de", None, "c"), ("fr", "en", "e")],
)
def test_the_translator_for_these_languages(source: str, target: str | None, name: str) -> None:
    assert find_translator(source, target) == name


def test_what_is_missing_or_open_is_refused() -> None:
    with pytest.raises(ModelError, match=r"several models translate from 'fr'; .*--to"):
        find_translator("fr", None)
    with pytest.raises(ModelError, match="no model that ships here translates from 'en' to 'fr'; allowed: de to en"):
        find_translator("en", "fr")
