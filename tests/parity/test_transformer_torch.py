"""The Transformer encoder and decoder against ``torch.nn.Transformer`` (``norm_first``), weights copied."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import MultiHead
from regard.decoders.transformer import DecoderLayer, TransformerDecoder, TransformerDecoderSettings
from regard.encoders.transformer import (
    EncoderLayer,
    TransformerEncoder,
    TransformerEncoderSettings,
    TransformerSizes,
    sinusoids,
)

DIM, HEADS, LAYERS, FEED_FORWARD, SOURCE_VOCABULARY, VOCABULARY = 12, 3, 2, 19, 13, 17
BATCH, POSITIONS, TIME = 3, 7, 5
LENGTHS = (7, 2, 4)
SIZES = {"dim": DIM, "heads": HEADS, "layers": LAYERS, "feed_forward": FEED_FORWARD}


def _copy_attention(ours: MultiHead, theirs: nn.MultiheadAttention) -> None:
    assert theirs.in_proj_weight is not None
    q, k, v = theirs.in_proj_weight.chunk(3)
    bias_q, _, bias_v = theirs.in_proj_bias.chunk(3)  # the bias of the keys cancels in the softmax, and we have none
    for layer, weight, bias in ((ours.W_q, q, bias_q), (ours.W_v, v, bias_v)):
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    ours.W_k.weight.copy_(k)
    ours.W_o.load_state_dict(theirs.out_proj.state_dict())


def _copy_feed_forward(ours: nn.Sequential, theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) -> None:
    ours[0].load_state_dict(theirs.linear1.state_dict())
    ours[3].load_state_dict(theirs.linear2.state_dict())


def _copy_encoder(encoder: TransformerEncoder, peer: nn.Transformer) -> None:
    for ours, theirs in zip(encoder.layers, peer.encoder.layers, strict=True):
        assert isinstance(ours, EncoderLayer)
        assert isinstance(theirs, nn.TransformerEncoderLayer)
        _copy_attention(ours.attention, theirs.self_attn)
        _copy_feed_forward(ours.feed_forward, theirs)
        ours.attention_norm.load_state_dict(theirs.norm1.state_dict())
        ours.feed_forward_norm.load_state_dict(theirs.norm2.state_dict())
    encoder.norm.load_state_dict(peer.encoder.norm.state_dict())


def _copy_decoder(decoder: TransformerDecoder, peer: nn.Transformer) -> None:
    for ours, theirs in zip(decoder.layers, peer.decoder.layers, strict=True):
        assert isinstance(ours, DecoderLayer)
        assert isinstance(theirs, nn.TransformerDecoderLayer)
        _copy_attention(ours.self_attention, theirs.self_attn)
        _copy_attention(ours.attention, theirs.multihead_attn)
        _copy_feed_forward(ours.feed_forward, theirs)
        ours.self_attention_norm.load_state_dict(theirs.norm1.state_dict())
        ours.attention_norm.load_state_dict(theirs.norm2.state_dict())
        ours.feed_forward_norm.load_state_dict(theirs.norm3.state_dict())
    decoder.norm.load_state_dict(peer.decoder.norm.state_dict())


def _peer() -> nn.Transformer:
    torch.manual_seed(0)
    peer = nn.Transformer(DIM, HEADS, LAYERS, LAYERS, FEED_FORWARD, dropout=0.0, batch_first=True, norm_first=True)
    for parameter in peer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return peer


@pytest.fixture(scope="module")
def peer() -> nn.Transformer:
    # in evaluation mode torch switches to a path of its own for encoders, which zeroes padding; training mode without
    # dropout is the plain one
    with pytest.warns(UserWarning, match="enable_nested_tensor"):
        return _peer().train()


@pytest.fixture(scope="module")
def encoder(peer: nn.Transformer) -> TransformerEncoder:
    encoder = TransformerEncoder(TransformerEncoderSettings(**SIZES), vocabulary_size=SOURCE_VOCABULARY).eval()
    with torch.no_grad():
        _copy_encoder(encoder, peer)
    return encoder


@pytest.fixture(scope="module")
def decoder(peer: nn.Transformer) -> TransformerDecoder:
    decoder = TransformerDecoder(TransformerDecoderSettings(**SIZES), dim=DIM, vocabulary_size=VOCABULARY).eval()
    with torch.no_grad():
        _copy_decoder(decoder, peer)
    return decoder


def _embed(embedding: nn.Embedding, tokens: Tensor) -> Tensor:
    return embedding(tokens) * math.sqrt(DIM) + sinusoids(torch.arange(tokens.shape[1]), DIM)


def _sources() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    mask = torch.arange(POSITIONS) < torch.tensor(LENGTHS).unsqueeze(1)
    return torch.randint(SOURCE_VOCABULARY, (BATCH, POSITIONS)), mask


@torch.no_grad()
def test_the_encoder_equals_torch(peer: nn.Transformer, encoder: TransformerEncoder) -> None:
    tokens, mask = _sources()
    expected = peer.encoder(_embed(encoder.E, tokens), src_key_padding_mask=~mask)
    torch.testing.assert_close(encoder(tokens, mask).values[mask], expected[mask], atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_decoder_equals_torch(peer: nn.Transformer, decoder: TransformerDecoder) -> None:
    torch.manual_seed(4)
    memory, mask = torch.randn(BATCH, POSITIONS, DIM), _sources()[1]
    tokens = torch.randint(VOCABULARY, (BATCH, 2, TIME))
    trace = decoder.trace(Annotations(memory, mask), tokens)
    later = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
    for row in range(2):
        embedded = _embed(decoder.E, tokens[:, row])
        expected = peer.decoder(embedded, memory, tgt_mask=later, memory_key_padding_mask=~mask)
        torch.testing.assert_close(trace.readouts[:, row], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_weights_are_those_of_torch(peer: nn.Transformer, decoder: TransformerDecoder) -> None:
    """Of the last layer, the mean over heads, caught where torch computes its own."""
    torch.manual_seed(5)
    memory, mask = torch.randn(BATCH, POSITIONS, DIM), _sources()[1]
    tokens = torch.randint(VOCABULARY, (BATCH, 1, TIME))
    last = peer.decoder.layers[-1].multihead_attn
    asked: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    later = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
    peer.decoder(_embed(decoder.E, tokens[:, 0]), memory, tgt_mask=later, memory_key_padding_mask=~mask)
    handle.remove()
    _, expected = last(asked[0], memory, memory, key_padding_mask=~mask, need_weights=True)
    found = decoder.trace(Annotations(memory, mask), tokens).weights[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_gradients_equal_torch(peer: nn.Transformer, encoder: TransformerEncoder, decoder: TransformerDecoder) -> None:
    """Through decoder and encoder together, with respect to the source embeddings and the last matrix of each."""
    (tokens, mask), target = _sources(), torch.randint(VOCABULARY, (BATCH, 1, TIME))
    noise = torch.randn(BATCH, TIME, DIM)
    readouts = decoder.trace(encoder(tokens, mask), target).readouts[:, 0]
    embedded = _embed(encoder.E, tokens)
    later = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
    theirs = peer(
        embedded,
        _embed(decoder.E, target[:, 0]),
        tgt_mask=later,
        src_key_padding_mask=~mask,
        memory_key_padding_mask=~mask,
    )
    torch.testing.assert_close(readouts, theirs, atol=1e-5, rtol=0)
    ours = torch.autograd.grad((readouts * noise).sum(), [encoder.E.weight, _first_weight(encoder)])
    matrix = peer.encoder.layers[0].linear1.weight
    expected = torch.autograd.grad((theirs * noise).sum(), [encoder.E.weight, matrix])
    for one, two in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def _first_weight(encoder: TransformerEncoder) -> Tensor:
    layer = encoder.layers[0]
    assert isinstance(layer, EncoderLayer)
    return layer.feed_forward.get_parameter("0.weight")


def test_the_settings_of_both_share_their_sizes() -> None:
    assert issubclass(TransformerEncoderSettings, TransformerSizes)
    assert issubclass(TransformerDecoderSettings, TransformerSizes)
