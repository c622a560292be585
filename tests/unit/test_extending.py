"""What docs/extending.md shows works: each block is a file, each line goes into its registry, on every path."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import regard
from regard.cli.saving import Saver
from regard.config import parse
from regard.decoders import DECODERS
from regard.decoders.base import Decoder
from regard.encoders import ENCODERS
from regard.errors import ConfigError
from regard.fast import for_search, for_training
from regard.metrics import score_captions
from regard.metrics.metric import CAPTION_METRICS
from regard.model import EncoderDecoder, ModelSettings
from regard.registry import Registry
from regard.result_views import VIEWS, save_together
from regard.results import Translation
from regard.scores import SCORES
from regard.search import SearchOptions, SpecialTokens, search

PAGE = Path(regard.__file__).parents[2] / "docs" / "extending.md"
BLOCKS = dict(re.findall(r"```python\n# src/(\S+)\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
LINES = dict(re.findall(r'^"([\w.]+)": "(regard\.[\w.:]+)",$', PAGE.read_text(encoding="utf-8"), re.MULTILINE))
REGISTRIES: dict[str, Registry[Any]] = {
    "cosine": SCORES,
    "glimpse": DECODERS,
    "bag": ENCODERS,
    ".txt": VIEWS,
    "distinct": CAPTION_METRICS,
}
VOCABULARY, SIZE = 13, 8


@pytest.fixture(autouse=True)
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of the page, as if their files and lines were there."""
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    for name, registry in REGISTRIES.items():
        home, _, attribute = LINES[name].partition(":")
        module = ModuleType(f"extension_{name.strip('.')}")  # other tests read every class of the package
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(BLOCKS[home.replace(".", "/")], home, "exec"), module.__dict__)
        monkeypatch.setattr(registry, "_homes", {**registry._homes, name: f"{module.__name__}:{attribute}"})


def build(**decoder: object) -> EncoderDecoder:
    torch.manual_seed(0)
    values = {"encoder": {"name": "bag", "size": SIZE}, "decoder": decoder}
    settings = parse(ModelSettings, values, origin="the test")
    assert parse(ModelSettings, settings.model_dump(mode="json"), origin="a saved model") == settings
    model = EncoderDecoder(settings, vocabulary_size=VOCABULARY, source_vocabulary_size=VOCABULARY).eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    return model


def stepped(decoder: Decoder, model: EncoderDecoder, tokens: Tensor) -> tuple[Tensor, Tensor]:
    state, logits, weights = decoder.start(annotations(model), rows=tokens.shape[1]), [], []
    for each in tokens.unbind(dim=2):
        step = decoder.step(state, each)
        state = step.state
        logits.append(step.logits)
        weights.append(step.weights)
    return torch.stack(logits, dim=2), torch.stack(weights, dim=2)


def annotations(model: EncoderDecoder) -> regard.annotations.Annotations:
    tokens = torch.randint(0, VOCABULARY, (3, 6), generator=torch.Generator().manual_seed(1))
    return model.annotate(tokens, torch.arange(6) < torch.tensor([6, 2, 4]).unsqueeze(1))


DECODER_SETTINGS = {
    "glimpse": {"name": "glimpse", "size": 7},
    "attend, cosine": {"name": "attend", "embedding": 7, "hidden": SIZE, "score": "cosine"},
    "rnnsearch, cosine": {"name": "rnnsearch", "embedding": 7, "hidden": SIZE, "readout": 5, "score": "cosine"},
    "luong, cosine": {"name": "luong", "embedding": 7, "hidden": SIZE, "score": "cosine"},
}


@pytest.mark.parametrize("decoder", DECODER_SETTINGS)
def test_training_and_search_compute_the_parts_of_the_page(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(**DECODER_SETTINGS[decoder])
    tokens = torch.randint(0, VOCABULARY, (3, 2, 5), generator=torch.Generator().manual_seed(2))
    logits, weights = stepped(model.decoder, model, tokens)
    trace = for_training(model.decoder).trace(annotations(model), tokens)
    torch.testing.assert_close(model.decoder.logits(trace.readouts), logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(trace.weights, weights, atol=1e-5, rtol=1e-5)
    found = []
    for reference in ("0", "1"):
        monkeypatch.setenv("REGARD_REFERENCE", reference)
        options = SearchOptions(beam=3, max_length=6)
        found.append(search(model.decoder, annotations(model), options, tokens=SpecialTokens()))
    for (ours, *_), (theirs, *_) in zip(*found, strict=True):
        assert ours.tokens == theirs.tokens
        torch.testing.assert_close(ours.weights, theirs.weights, atol=1e-5, rtol=1e-5)


def test_a_lower_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="int8"):
        for_search(build(name="glimpse", size=7).decoder, "int8")


def test_padding_changes_nothing() -> None:
    model = build(name="glimpse", size=7)
    tokens = torch.tensor([[5, 6, 7], [8, 9, 1]])
    padded = model.annotate(tokens, torch.tensor([[True] * 3, [True, True, False]]))
    alone = model.annotate(tokens[1:, :2], torch.tensor([[True, True]]))
    assert not padded.values[1, 2].any()
    torch.testing.assert_close(padded.values[1:, :2], alone.values)


def test_a_problem_of_a_part_names_it() -> None:
    with pytest.raises(ConfigError, match=r"decoder\.glimpse\.sise is unknown, did you mean 'size'"):
        build(name="glimpse", sise=7)
    with pytest.raises(ConfigError, match=r"there is no decoder 'glimse'.*did you mean 'glimpse'"):
        build(name="glimse")
    with pytest.raises(ConfigError, match=r"decoder\.attend\.score: input should be one of .*'cosine'"):
        build(name="attend", score="cosinus")


def test_results_are_saved_by_the_view_of_the_page(translation: Translation, tmp_path: Path) -> None:
    assert translation.save(tmp_path / "one.txt").read_text(encoding="utf-8") == f"{translation.text}\n"
    both = save_together([translation, translation], tmp_path / "both.TXT").read_text(encoding="utf-8")
    assert both == f"{translation.text}\n" * 2
    saver = Saver(tmp_path / "folder", count=1)
    saver.add(translation, "sentence")
    assert {path.suffix for path in (tmp_path / "folder").iterdir()} == {".html", ".png", ".json", ".txt"}


def test_captions_are_scored_by_the_metric_of_the_page() -> None:
    scores = score_captions(["A dog runs.", "A dog sits."], [["a dog"], ["a cat"]])
    assert scores["distinct1"] == pytest.approx(100 * 4 / 6)
    assert scores["distinct2"] == pytest.approx(100 * 3 / 4)
    assert "|distinct:corpus|" in scores.signature
