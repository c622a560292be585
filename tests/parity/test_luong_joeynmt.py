"""The general and the additive score against JoeyNMT's ``LuongAttention`` and ``BahdanauAttention``, weights copied.

``joeynmt_attention.json`` holds what JoeyNMT 2.3.0 gives for the inputs below, so that the comparison runs everywhere.
Where JoeyNMT is installed (``pip install --no-deps joeynmt``), it is asked again, and ``python
tests/parity/test_luong_joeynmt.py`` writes the file anew.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attended, Attention
from regard.decoders.luong import LuongDecoder, LuongSettings
from regard.scores.additive import Additive
from regard.scores.general import General

FROZEN = Path(__file__).with_name("joeynmt_attention.json")
BATCH, POSITIONS, DIM, QUERY, INNER = 3, 5, 4, 6, 7
LENGTHS = (5, 1, 3)
KINDS = ("LuongAttention", "BahdanauAttention")


def _numbers(*shape: int, phase: float) -> Tensor:
    """Numbers between −1 and 1 that no version of a random generator can change."""
    size = torch.Size(shape).numel()
    return torch.sin(torch.arange(size, dtype=torch.float64) * 1.7 + phase).view(shape)


def _inputs() -> tuple[Tensor, Tensor, Tensor]:
    mask = torch.arange(POSITIONS) < torch.tensor(LENGTHS).unsqueeze(1)
    return _numbers(BATCH, 1, QUERY, phase=0.1), _numbers(BATCH, POSITIONS, DIM, phase=0.2), mask


def _weights(kind: str) -> dict[str, Tensor]:
    """The weights of one module, by JoeyNMT's names."""
    if kind == "LuongAttention":
        return {"key_layer": _numbers(QUERY, DIM, phase=0.3)}
    return {
        "key_layer": _numbers(INNER, DIM, phase=0.4),
        "query_layer": _numbers(INNER, QUERY, phase=0.5),
        "energy_layer": _numbers(1, INNER, phase=0.6),
    }


def _peer(kind: str) -> tuple[Tensor, Tensor]:
    """Context [batch, 1, dim] and weights [batch, 1, position] of JoeyNMT's module."""
    module: Any = importlib.import_module("joeynmt.attention")
    sizes = {"key_size": DIM, "query_size": QUERY} if kind == "BahdanauAttention" else {"key_size": DIM}
    hidden = INNER if kind == "BahdanauAttention" else QUERY
    attention = getattr(module, kind)(hidden_size=hidden, **sizes).double()
    attention.load_state_dict({f"{name}.weight": weight for name, weight in _weights(kind).items()})
    query, values, mask = _inputs()
    with torch.no_grad():
        attention.compute_proj_keys(values)
        context, weights = attention(query=query, mask=mask.unsqueeze(1), values=values)
    return context, weights


def _fill(score: nn.Module, kind: str) -> None:
    weights = _weights(kind)
    with torch.no_grad():
        if isinstance(score, General):
            score.W.weight.copy_(weights["key_layer"])
        elif isinstance(score, Additive):
            score.W.weight.copy_(weights["query_layer"])
            score.U.weight.copy_(weights["key_layer"])
            score.v.copy_(weights["energy_layer"][0])


@torch.no_grad()
def _ours(kind: str) -> Attended:
    name = "general" if kind == "LuongAttention" else "additive"
    attention = Attention(QUERY, DIM, score=name, attention_dim=INNER).double()
    _fill(attention.score, kind)
    query, values, mask = _inputs()
    look: Attended = attention(query, attention.remember(Annotations(values, mask)))
    return look


@pytest.mark.parametrize("kind", KINDS)
def test_attention_equals_the_frozen_outputs(kind: str) -> None:
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))[kind]
    look = _ours(kind)
    torch.testing.assert_close(look.context, torch.tensor(frozen["context"], dtype=torch.float64), atol=1e-10, rtol=0)
    torch.testing.assert_close(look.weights, torch.tensor(frozen["weights"], dtype=torch.float64), atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_equals_joeynmt(kind: str) -> None:
    pytest.importorskip("joeynmt", reason="JoeyNMT is not installed; the frozen outputs stand in for it")
    look, (context, weights) = _ours(kind), _peer(kind)
    torch.testing.assert_close(look.context, context, atol=1e-12, rtol=0)
    torch.testing.assert_close(look.weights, weights, atol=1e-12, rtol=0)


def _written_out(kind: str, query: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Context and weights by the equations: qᵀ W k (Luong 2015 §3.1), vᵀ tanh(W q + U k) (Bahdanau 2015 A.1.2)."""
    weights = _weights(kind)
    keys = values @ weights["key_layer"].T
    if kind == "LuongAttention":
        scores = query @ keys.transpose(1, 2)
    else:
        inner = torch.tanh((query @ weights["query_layer"].T).unsqueeze(2) + keys.unsqueeze(1))
        scores = inner @ weights["energy_layer"][0]
    look = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(dim=-1)
    return look @ values, look


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_luong_decoder_looks_as_joeynmt_does(kind: str) -> None:
    """What a step returns is made of that look, from its own h; it is checked without any code of the decoder."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))[kind]
    expected = torch.tensor(frozen["weights"], dtype=torch.float64)
    torch.testing.assert_close(_written_out(kind, *_inputs())[1], expected, atol=1e-10, rtol=0)
    name = "general" if kind == "LuongAttention" else "additive"
    settings = LuongSettings(hidden=QUERY, embedding=3, attention=INNER, score=name, input_feeding=False)
    decoder = LuongDecoder(settings, dim=DIM, vocabulary_size=11).double()
    _fill(decoder.attention.score, kind)
    _, values, mask = _inputs()
    annotations = Annotations(values, mask)
    state = decoder.start(annotations)
    following = decoder.step(state, torch.full((BATCH, 1), 4))
    h = following.state.rows["h"][:, :, -1]
    context, weights = _written_out(kind, h, values, mask)
    parameters = dict(decoder.named_parameters())
    read = torch.tanh(torch.cat([context, h], dim=-1) @ parameters["W_c.weight"].T)
    torch.testing.assert_close(following.logits, read @ parameters["W_s.weight"].T)
    torch.testing.assert_close(following.weights, weights)


if __name__ == "__main__":
    outputs = {
        kind: dict(zip(("context", "weights"), (each.tolist() for each in _peer(kind)), strict=True)) for kind in KINDS
    }
    FROZEN.write_text(json.dumps(outputs, indent=1) + "\n", encoding="utf-8")
