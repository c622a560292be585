"""A translator that version 0.1.0 saved, before translators knew their source words, says what it said then."""

from __future__ import annotations

from pathlib import Path

from regard.pipeline import load_translator
from regard.saved.bundle import load_bundle, save_bundle

OLD = Path(__file__).parents[2] / "fixtures" / "translator-0.1.0"
SOURCE = "A dog runs on the beach."


def test_an_old_translator_says_what_it_said() -> None:
    with load_translator(OLD) as translator:
        said = translator.translate(SOURCE)
        assert said.text == "gg*\x01*gg*"
        assert translator.translate("EIN hund").text == "gg*\x01g*\x01g"
        assert not said.unfamiliar
    with load_translator(OLD, shortlist=True) as translator:
        assert translator.translate(SOURCE).text == "gggggggg"


def test_an_old_translator_is_stored_anew_without_a_change(tmp_path: Path) -> None:
    bundle = load_bundle(OLD)
    assert bundle.source_words is None
    assert bundle.lexicon is not None
    save_bundle(bundle, tmp_path / "new")
    names = ["lexicon.safetensors", "tokenizer.json", "weights.safetensors"]
    assert [(tmp_path / "new" / name).read_bytes() for name in names] == [(OLD / name).read_bytes() for name in names]
