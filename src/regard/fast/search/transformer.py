"""``transformer`` in search (see :mod:`regard.decoders.transformer` for the formulas).

Keys and values of the tokens so far are copied once a step, each hypothesis from its parent, to where there is room for
the next token. The hypotheses of one input attend together to its
annotations. Layers whose weights are not returned attend by an operation that does not keep them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from regard.annotations import Annotations
from regard.attention import Memory, masked_softmax
from regard.decoders.base import State, Step, Stepper
from regard.decoders.cells import Hidden
from regard.decoders.transformer import DecoderLayer, TransformerDecoder, TransformerMemory
from regard.encoders.transformer import sinusoids
from regard.fast.attention import multi_head_context
from regard.fast.search.beam_state import ParentIndex
from regard.fast.search.incremental import IncrementalDecoder
from regard.fast.support import on_cpu
from regard.ops.linear import InferencePrecision, inference_linear
from regard.ops.packing import GroupedRows


def twin(decoder: TransformerDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU; on a GPU one in float32 that copies less cleverly, with fewer operations."""
    if on_cpu(decoder):
        return IncrementalTransformer(decoder, precision=precision)
    return FusedTransformer(decoder) if precision == "float32" else None


class IncrementalTransformer(IncrementalDecoder):
    """Args:
    decoder: in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: TransformerDecoder, *, precision: InferencePrecision) -> None:
        super().__init__((decoder.W_o.weight, decoder.W_o.bias), precision)
        self._decoder, self._returned = decoder, decoder.settings.look % decoder.settings.layers
        self._layers = [_PreparedLayer(layer, precision) for layer in decoder.decoder_layers()]

    def _project_tokens(self, tokens: Tensor) -> Tensor:
        return math.sqrt(self._decoder.settings.dim) * self._decoder.E.weight.detach()[tokens]

    def _remember(self, annotations: Annotations) -> Memory:
        return self._decoder.remember(annotations)

    def _first_state(self, annotations: Annotations) -> Hidden:
        """Keys and values of every layer, ``cache0`` … [row, token, 2, dim], of no token yet."""
        nothing = annotations.values.new_empty(len(annotations), 0, 2, self._decoder.settings.dim)
        return {f"cache{i}": nothing for i in range(len(self._layers))}

    def _advance(
        self, memory: Memory, before: Hidden, index: ParentIndex, projected: Tensor
    ) -> tuple[Hidden, Tensor, Tensor]:
        assert isinstance(memory, TransformerMemory), "a state of this decoder's own start"
        x = projected.add_(self._position(before["cache0"].shape[1], projected))
        layout = GroupedRows.of(index.batch_index, index.rows.num_inputs)
        weights, caches = None, {}
        for i, (layer, inputs) in enumerate(zip(self._layers, memory.layers, strict=True)):
            cache = caches[f"cache{i}"] = _continued(before[f"cache{i}"], index.parents)
            x = layer.attend_to_tokens(x, cache)
            query = layer.query(x)
            if i == self._returned:
                weights = layer.weights(query, inputs, layout)
            x = layer.attend_to_annotations(x, query, inputs, layout)
            x = layer.feed_forward(x)
        assert weights is not None, "one layer returns its weights"
        return caches, self._decoder.norm(x), weights

    def _position(self, place: int, like: Tensor) -> Tensor:
        """What is added to the token at ``place``, [1, dim]."""
        positions = self._decoder.positions
        positions.sizes.check_length(place + 1)
        number = torch.tensor([place])
        offset = sinusoids(number, positions.dim) if positions.places is None else positions.places(number)
        return offset.to(like.dtype)


def _continued(cache: Tensor, parents: Tensor) -> Tensor:
    """The caches of these parents, with room for one more token: [active, token + 1, 2, dim]."""
    rows, tokens = len(parents), cache.shape[1]
    continued = cache.new_empty(rows, tokens + 1, *cache.shape[2:])
    torch.index_select(cache, 0, parents, out=continued[:, :tokens])
    return continued


class _PreparedLayer:
    """A layer of the decoder with its matrices packed."""

    def __init__(self, layer: DecoderLayer, precision: InferencePrecision) -> None:
        self._layer, self._heads = layer, layer.attention.heads
        own, other = layer.self_attention, layer.attention
        first, _, _, second = layer.feed_forward
        assert isinstance(first, nn.Linear), "the first part of a feed-forward network"
        assert isinstance(second, nn.Linear), "its last part"
        no_bias = torch.zeros_like(own.W_q.bias)
        matrices = [own.W_q.weight, own.W_k.weight, own.W_v.weight]
        biases = [own.W_q.bias, no_bias, own.W_v.bias]
        self._from_token = inference_linear(torch.cat(matrices), torch.cat(biases), precision=precision)
        self._own_output, self._query, self._output, self._first, self._second = (
            inference_linear(linear.weight, linear.bias, precision=precision)
            for linear in (own.W_o, other.W_q, other.W_o, first, second)
        )

    def attend_to_tokens(self, x: Tensor, cache: Tensor) -> Tensor:
        """x [active, dim] plus what each token takes from itself and those before it.

        Args:
            x: of the new tokens.
            cache: [active, token, 2, dim], keys and values; those of the last token are written here.
        """
        query, key, value = self._from_token(self._layer.self_attention_norm(x)).chunk(3, dim=1)
        cache[:, -1, 0], cache[:, -1, 1] = key, value
        keys, values = (self._split(cache[:, :, part]) for part in range(2))
        context = scaled_dot_product_attention(self._split(query.unsqueeze(1)), keys, values)
        return x + self._own_output(context.transpose(1, 2).reshape(x.shape))

    def query(self, x: Tensor) -> Tensor:
        """The queries [active, dim] for the annotations."""
        return self._query(self._layer.attention_norm(x))

    def attend_to_annotations(self, x: Tensor, query: Tensor, memory: Memory, layout: GroupedRows) -> Tensor:
        """x [active, dim] plus what each hypothesis takes from the annotations of its input."""
        mask = None if memory.mask is None else memory.mask[:, None, None, :]
        grid = self._split(layout.to_block(query))
        context = scaled_dot_product_attention(grid, memory.keys, memory.values, attn_mask=mask)
        return x + self._output(layout.from_block(context.transpose(1, 2).flatten(2)))

    def weights(self, query: Tensor, memory: Memory, layout: GroupedRows) -> Tensor:
        """The mean over heads of the attention weights, [active, position]."""
        grid = self._split(layout.to_block(query))
        scores = grid @ memory.keys.transpose(2, 3) / math.sqrt(grid.shape[-1])
        softmax = masked_softmax(scores.flatten(1, 2), memory.mask)
        return layout.from_block(softmax.view_as(scores).mean(dim=1))

    def feed_forward(self, x: Tensor) -> Tensor:
        """x [active, dim] plus the feed-forward network."""
        return x + self._second(self._first(self._layer.feed_forward_norm(x)).relu_())

    def _split(self, joined: Tensor) -> Tensor:
        """[row, position, dim] to a view [row, heads, position, head_dim]."""
        return joined.view(*joined.shape[:-1], self._heads, -1).transpose(1, 2)


class FusedTransformer:
    """One token of every hypothesis, with the keys and values of the tokens before it cached."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        self.decoder, self.vocabulary_size = decoder, decoder.vocabulary_size

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`."""
        return self.decoder.start(annotations, rows=rows)

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`."""
        decoder, returned = self.decoder, self.decoder.settings.look % self.decoder.settings.layers
        x = decoder.positions(decoder.E(tokens.unsqueeze(-1)), first=state.length).squeeze(2)
        cache: dict[str, Tensor] = {}
        weights: Tensor | None = None
        for i, (layer, memory) in enumerate(decoder.with_memories(state.memory)):
            past = Memory(state.rows[f"values{i}"].flatten(0, 1), state.rows[f"keys{i}"].flatten(0, 1))
            x, past = _self_attention(layer, x, past)
            cache[f"keys{i}"] = past.keys.view(*tokens.shape, *past.keys.shape[1:])
            cache[f"values{i}"] = past.values.view(*tokens.shape, *past.values.shape[1:])
            normal = layer.attention_norm(x)
            if i == returned:
                attended = layer.attention(normal, memory)
                context, weights = attended.context, attended.weights
            else:
                context = multi_head_context(layer.attention, normal, memory)
            x = x + context
            x = x + layer.feed_forward(layer.feed_forward_norm(x))
        assert weights is not None, "one layer returns its weights"
        return Step(decoder.norm(x), State(state.memory, cache, state.length + 1), weights, decoder.logits)


def _self_attention(layer: DecoderLayer, x: Tensor, past: Memory) -> tuple[Tensor, Memory]:
    """x [batch, rows, dim] plus what each token takes from itself and the tokens before it; and the longer cache."""
    normal = layer.self_attention_norm(x).flatten(0, 1).unsqueeze(1)
    new = layer.self_attention.remember(Annotations(normal))
    past = Memory(torch.cat([past.values, new.values], dim=2), torch.cat([past.keys, new.keys], dim=2))
    return x + multi_head_context(layer.self_attention, normal, past).view_as(x), past
