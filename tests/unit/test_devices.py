"""Devices by name, and code that puts no tensor elsewhere than its inputs lie.

There need not be a GPU where the tests run. Torch's ``meta`` device stands in for one: its tensors have no values,
every operation checks shapes and devices as any other does, and one that meets a tensor of the processor's raises.
"""

from __future__ import annotations

import pytest
import torch

from regard.annotations import Annotations
from regard.compute import resolve_device
from regard.decoders import DecoderSettings, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.errors import ConfigError
from regard.fast import for_search, for_training

DECODERS: list[DecoderSettings] = [
    AttendSettings(embedding=6, hidden=5, attention=4),
    LuongSettings(embedding=6, hidden=5),
    RnnSearchSettings(embedding=6, hidden=5, attention=4, readout=6),
    RnnEncDecSettings(embedding=6, hidden=5),
    RepeatSettings(hidden=5),
    FeedbackSettings(embedding=6, hidden=5),
    TransformerDecoderSettings(dim=8, heads=2, layers=1, feed_forward=8),
]


def test_auto_is_the_processor_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", ""])
def test_a_device_that_is_not_there_is_one_error(name: str) -> None:
    with pytest.raises(ConfigError, match="is not available here"):
        resolve_device(name)


@pytest.mark.parametrize("settings", DECODERS, ids=lambda each: each.name)
def test_a_pass_over_targets_stays_on_its_device(settings: DecoderSettings) -> None:
    decoder = build_decoder(settings, dim=5, vocabulary_size=9, backward_dim=0).to("meta")
    values = torch.empty(3, 4, 5, device="meta")
    tokens = torch.empty(3, 2, 6, dtype=torch.long, device="meta")
    trace = for_training(decoder).trace(Annotations(values), tokens, torch.tensor([[6, 5], [6, 2], [3, 1]]))
    assert trace.readouts.is_meta
    assert trace.weights.is_meta
    assert trace.readouts.shape[:3] == (3, 2, 6)
    decoder.logits(trace.readouts).sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("settings", DECODERS, ids=lambda each: each.name)
def test_a_step_stays_on_its_device(settings: DecoderSettings) -> None:
    decoder = build_decoder(settings, dim=5, vocabulary_size=9, backward_dim=0).to("meta").eval()
    stepper = for_search(decoder)
    state = stepper.start(Annotations(torch.empty(3, 4, 5, device="meta")), rows=2)
    for _ in range(2):
        step = stepper.step(state, torch.empty(3, 2, dtype=torch.long, device="meta"))
        state = step.state
    assert step.logits.is_meta
    assert step.weights.is_meta
