"""A model with a lexicon is the same model with one file more, and its card says where that comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regard.errors import DataError, ModelError
from regard.evaluation.lexicon import Coverage, ListSizes, add_lexicon
from regard.pipeline import load_translator
from regard.saved.bundle import Bundle, load_bundle, save_bundle
from regard.text.lexicon import FILE


@pytest.fixture
def model(tiny_translator: Bundle, tmp_path: Path) -> Path:
    return save_bundle(replace(tiny_translator, card="# tiny\n\n## Limits\n\nMany.\n"), tmp_path / "model")


def test_a_model_gets_a_lexicon_and_keeps_all_else(model: Path, parallel_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "with"
    coverage = add_lexicon(model, parallel_folder, output, split="train", check="val", sizes=ListSizes(3, 9))
    for path in model.iterdir():
        if path.name not in ("README.md", "manifest.json"):  # the manifest has the checksum of the card
            assert (output / path.name).read_bytes() == path.read_bytes()
    assert load_bundle(model).lexicon is None
    lexicon = load_bundle(output).lexicon
    assert lexicon is not None
    assert len(lexicon.frequent) == 9
    assert 0 < lexicon.ends[-1] <= 3 * len(lexicon.ends)
    assert isinstance(coverage, Coverage)
    assert 0.2 < coverage.covered <= 1
    assert 13 < coverage.length < load_bundle(model).tokenizer.size / 2
    card = load_bundle(output).card
    assert card.startswith(
        "# tiny\n\n## Limits\n\nMany.\n\n## Shortlist\n\n`lexicon.safetensors` was learned from the 18 "
    )
    assert "at most 3 each" in card
    assert f"{coverage.length:,.0f} pieces a sentence in the mean, and {coverage.covered:.1%}" in card


def test_it_may_be_written_again_in_place(model: Path, parallel_folder: Path) -> None:
    for sizes in (ListSizes(), ListSizes(2, 5)):
        assert add_lexicon(model, parallel_folder, model, split="train", sizes=sizes) is None
    bundle = load_bundle(model)
    assert bundle.card.count("## Shortlist") == 1
    assert bundle.lexicon is not None
    assert len(bundle.lexicon.frequent) == 5
    assert "On the split" not in bundle.card


def test_everything_may_be_said_where_lists_are_long_enough(model: Path, parallel_folder: Path) -> None:
    coverage = add_lexicon(model, parallel_folder, model, split="train", check="train", sizes=ListSizes(0, 10_000))
    assert coverage is not None
    assert coverage.covered == 1
    translator = load_translator(model, shortlist=True)
    assert translator.translate("A dog.").words


def test_a_saved_bundle_keeps_its_lexicon(model: Path, parallel_folder: Path, tmp_path: Path) -> None:
    add_lexicon(model, parallel_folder, model, split="train")
    save_bundle(load_bundle(model), tmp_path / "again")
    assert (tmp_path / "again" / FILE).read_bytes() == (model / FILE).read_bytes()


def test_what_cannot_be_used_is_said(model: Path, parallel_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"flickr8k: is a captioner; allowed: a model that translates sentences"):
        add_lexicon("flickr8k", parallel_folder, tmp_path / "with", split="train")
    with pytest.raises(ModelError, match="is there already and is no model"):
        add_lexicon(model, parallel_folder, parallel_folder, split="train")
    with pytest.raises(DataError, match="has no split 'test'"):
        add_lexicon(model, parallel_folder, tmp_path / "with", split="test")
    for language in ("en", "de"):
        (parallel_folder / f"none.{language}").write_text("\n")
    with pytest.raises(DataError, match="0 of 1 pairs, left out: 1 empty: nothing to learn from"):
        add_lexicon(model, parallel_folder, tmp_path / "with", split="none")
    assert not (tmp_path / "with").exists()


def test_a_model_does_not_hold_another(model: Path, parallel_folder: Path) -> None:
    before = sorted(model.rglob("*"))
    with pytest.raises(ModelError, match="inner: lies in the model itself; choose another folder"):
        add_lexicon(model, parallel_folder, model / "new" / "inner", split="train")
    assert sorted(model.rglob("*")) == before
