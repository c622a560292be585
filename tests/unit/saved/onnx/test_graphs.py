"""Every decoder, on pictures and on sentences, says through ONNX Runtime what it says through torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from regard.annotations import Annotations
from regard.config import parse
from regard.decoders import State, Step
from regard.errors import ModelError, TextError
from regard.model import EncoderDecoder, ModelSettings
from regard.saved.bundle import ENCODER_FILE, STEP_FILE
from regard.saved.onnx.graphs import example_inputs, export_graphs
from regard.saved.onnx.running import run_graphs
from regard.search import SearchOptions, SpecialTokens, search

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

READS, WRITES = 17, 13
LONGEST = 9
SIZES = ((1, 1, 1), (3, 5, 9), (2, 1, 4), (1, 5, 6))
"""Batch, rows and tokens of the source, none of them the exporter's own."""

PICTURE: dict[str, Any] = {
    "encoder": {"name": "resnet18", "layer": "stem", "size": 32, "pool": 3, "weights": None},
    "bridge": {"dim": 10},
}
CONCEPTS: dict[str, Any] = {
    "encoder": {"name": "resnet18", "size": 64, "weights": None, "concepts": 3},
    "bridge": {"dim": 10},
}
GRU: dict[str, Any] = {"encoder": {"name": "recurrent", "embedding": 6, "hidden": 5, "layers": 2}}
LSTM: dict[str, Any] = {
    "encoder": {"name": "recurrent", "embedding": 6, "hidden": 7, "cell": "lstm", "bidirectional": False}
}
ATTENTIVE: dict[str, Any] = {
    "encoder": {
        "name": "transformer",
        "dim": 6,
        "layers": 1,
        "heads": 2,
        "feed_forward": 11,
        "positions": "learned",
        "max_positions": LONGEST,
    }
}

ATTEND = {"name": "attend", "embedding": 6, "hidden": 8, "attention": 7}
REPEAT = {"name": "repeat", "hidden": 8, "image_vector": 3}
FEEDBACK = {"name": "feedback", "embedding": 6, "hidden": 8, "cell": "gru"}
SEARCH = {"name": "rnnsearch", "embedding": 6, "hidden": 8, "attention": 7, "readout": 6, "tied": True, "biases": True}
ENCDEC = {"name": "rnnencdec", "embedding": 6, "hidden": 8, "readout": 5}
LUONG = {"name": "luong", "embedding": 6, "hidden": 8, "layers": 2}
TRANSFORMER = {"name": "transformer", "dim": 10, "layers": 2, "heads": 2, "feed_forward": 9, "look": 0}

CASES: dict[str, dict[str, Any]] = {
    "attend-picture": {**PICTURE, "decoder": ATTEND},
    "attend-hard-picture": {**PICTURE, "decoder": {**ATTEND, "kind": "hard", "cell": "gru", "gate": False}},
    "attend-concepts-picture": {**CONCEPTS, "decoder": ATTEND},
    "attend-sentence": {**LSTM, "decoder": {**ATTEND, "score": "concat"}},
    "repeat-picture": {**PICTURE, "decoder": REPEAT},
    "repeat-sentence": {**GRU, "decoder": REPEAT},
    "feedback-picture": {**PICTURE, "decoder": FEEDBACK},
    "feedback-sentence": {**LSTM, "decoder": FEEDBACK},
    "rnnsearch-picture": {**PICTURE, "decoder": SEARCH},
    "rnnsearch-sentence": {**GRU, "decoder": SEARCH},
    "rnnencdec-picture": {**PICTURE, "decoder": ENCDEC},
    "rnnencdec-sentence": {**GRU, "decoder": ENCDEC},
    "luong-picture": {**PICTURE, "decoder": LUONG},
    "luong-local-sentence": {**GRU, "decoder": {**LUONG, "kind": "local-m", "window": 1, "input_feeding": False}},
    "luong-predictive-sentence": {**LSTM, "decoder": {**LUONG, "kind": "local-p", "window": 2, "cell": "gru"}},
    "transformer-picture": {**PICTURE, "decoder": TRANSFORMER},
    "transformer-sentence": {
        **ATTENTIVE,
        "decoder": {**TRANSFORMER, "positions": "learned", "max_positions": LONGEST},
    },
}


def build(case: str) -> EncoderDecoder:
    """The model of a case, with numbers large enough to tell one word from another."""
    settings = parse(ModelSettings, CASES[case], origin="the test")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(len(case))
        reads = 0 if case.endswith("picture") else READS
        model = EncoderDecoder(settings, vocabulary_size=WRITES, source_vocabulary_size=reads).eval()
        for parameter in model.decoder.parameters():
            parameter.normal_(std=0.5)
    return model


def exported(model: EncoderDecoder, folder: Path) -> EncoderDecoder:
    """The same model by its graphs."""
    encoder, step = export_graphs(model)
    encoder.save(folder / ENCODER_FILE)
    step.save(folder / STEP_FILE)
    reads = 0 if "picture" in example_inputs(model, 1, 1).tensors else READS
    with torch.device("meta"):
        twin = EncoderDecoder(model.settings, vocabulary_size=WRITES, source_vocabulary_size=reads)
    return run_graphs(twin, folder)


def assert_equal_steps(one: Step, other: Step) -> None:
    torch.testing.assert_close(other.logits, one.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other.weights, one.weights, atol=1e-4, rtol=0)
    assert other.state.rows.keys() == one.state.rows.keys()
    for name, tensor in one.state.rows.items():
        torch.testing.assert_close(other.state.rows[name], tensor, atol=1e-4, rtol=1e-4)


def both(change: Callable[[State], State], states: list[State]) -> list[State]:
    return [change(state) for state in states]


def check_steps(model: EncoderDecoder, graphs: EncoderDecoder, batch: int, rows: int, source: int) -> None:
    """Step, reorder, step, let one input leave, step: the same numbers all the way."""
    inputs = example_inputs(model, batch, source).tensors.values()
    annotations = [each.annotate(*inputs) for each in (model, graphs)]
    torch.testing.assert_close(annotations[1].values, annotations[0].values, atol=1e-4, rtol=1e-4)
    if annotations[0].concepts is not None:
        assert annotations[1].concepts is not None
        assert torch.equal(annotations[1].concepts.words, annotations[0].concepts.words)
        torch.testing.assert_close(annotations[1].concepts.maps, annotations[0].concepts.maps, atol=1e-4, rtol=1e-4)
    states = [each.decoder.start(annotations[i], rows=rows) for i, each in enumerate((model, graphs))]
    mask = annotations[0].mask
    for kept in (batch, batch, max(1, batch - 1)):
        left = torch.arange(kept)
        states = both(lambda state, left=left: state.select(left), states)
        tokens = torch.randint(0, WRITES, (kept, rows))
        steps = [each.decoder.step(states[i], tokens) for i, each in enumerate((model, graphs))]
        assert_equal_steps(*steps)
        if mask is not None:
            assert not steps[1].weights.masked_select(~mask[:kept].unsqueeze(1)).any()
        order = torch.randint(0, rows, (kept, rows))
        states = both(lambda state, order=order: state.reorder(order), [step.state for step in steps])


@pytest.mark.parametrize("case", CASES)
def test_graphs_equal_torch(case: str, tmp_path: Path) -> None:
    model = build(case)
    graphs = exported(model, tmp_path)
    assert graphs.decoder.attends == model.decoder.attends
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(3)
        for batch, rows, source in SIZES:
            check_steps(model, graphs, batch, rows, source)
        inputs = example_inputs(model, 3, 5).tensors.values()
        annotations = [each.annotate(*inputs) for each in (model, graphs)]
        tokens = torch.randint(0, WRITES, (3, 2, 4))
        one, other = (each.decoder(annotations[i], tokens) for i, each in enumerate((model, graphs)))
        torch.testing.assert_close(other[0], one[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(other[1], one[1], atol=1e-4, rtol=0)
    check_search(model, graphs, annotations)
    if case == "transformer-sentence":
        check_refusal(graphs)


def check_search(model: EncoderDecoder, graphs: EncoderDecoder, annotations: list[Annotations]) -> None:
    """The one search finds the same with both, also in inputs that were chosen from a batch."""
    options = SearchOptions(beam=3, max_length=6, alternatives=2, no_repeat=1)
    specials = SpecialTokens(bos=1, eos=2, forbidden=(0, 1))
    chosen = [each.select(torch.tensor([2, 0])) for each in annotations]
    found = [search(each.decoder, chosen[i], options, tokens=specials) for i, each in enumerate((model.eval(), graphs))]
    for one, other in zip(*found, strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
        for mine, theirs in zip(one, other, strict=True):
            assert theirs.score == pytest.approx(mine.score, abs=1e-4)
            torch.testing.assert_close(theirs.weights, mine.weights, atol=1e-4, rtol=0)


def check_refusal(graphs: EncoderDecoder) -> None:
    """Learned positions end for graphs where they end for torch."""
    with pytest.raises(TextError, match=f"{LONGEST + 1} tokens is too long"):
        graphs.annotate(torch.zeros(1, LONGEST + 1, dtype=torch.long))
    state = graphs.decoder.start(graphs.annotate(torch.zeros(1, 2, dtype=torch.long)))
    with pytest.raises(TextError, match=f"{LONGEST + 1} tokens is too long"):
        graphs.decoder.step(replace(state, length=LONGEST), torch.zeros(1, 1, dtype=torch.long))


def test_a_decoder_that_the_exporter_cannot_follow_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("repeat-picture")
    step = type(model.decoder).step

    def moody(self: Any, state: State, tokens: torch.Tensor) -> Step:
        result: Step = step(self, state, tokens)
        return result if bool(result.logits.sum() > 0) else step(self, result.state, tokens)

    monkeypatch.setattr(type(model.decoder), "step", moody)
    with pytest.raises(ModelError, match="cannot be written as ONNX") as caught:
        export_graphs(model)
    assert "\n" not in str(caught.value)
