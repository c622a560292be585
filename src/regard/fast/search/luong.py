"""``luong`` with global attention and one layer, step by step (see :mod:`regard.decoders.luong` for the formulas).

    shared  [W_hh; W_f] of h_{t−1} and h̃_{t−1}, for all hypotheses that part at their last word
    reads   W_e E y, then the cell; looks from h_t; h̃_t = tanh(W_c [c_t; h_t]) and the vocabulary product

The products of W_c with the annotations are taken once per input; mixed by the weights they are the products with c_t.
The gates are those of :mod:`regard.fast.search.cells`; what stands under tanh comes doubled here, too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.cells import Cell
from regard.decoders.luong import LuongDecoder
from regard.fast.search.attention_memory import Looks, StepMemory
from regard.fast.search.cells import ReadyCell, Vectors
from regard.fast.search.incremental import FamilyStepper
from regard.fast.search.unique_parents import Looking
from regard.ops.linear import InferencePrecision, Product, ready_product
from regard.ops.packing import Rows


class LuongStepper(FamilyStepper):
    """Args:
    decoder: of one layer with global attention, in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: LuongDecoder, *, precision: InferencePrecision) -> None:
        super().__init__((decoder.W_s.weight, decoder.W_s.bias), precision)
        cell, hidden = decoder.cells[0], decoder.settings.hidden
        assert isinstance(cell, Cell), "the list holds cells"
        self._decoder, self._looks, self._cell = decoder, Looks(decoder.attention), ReadyCell(cell)
        of_word, *of_fed = (self._cell.arranged(part) for part in cell.matrices())
        self._E, self._W_e, self._fed = decoder.E.weight.detach(), of_word, bool(of_fed)
        self._of_state = ready_product(torch.cat([self._cell.of_state, *of_fed], dim=1), None, precision=precision)
        of_context, of_h = torch.split(
            decoder.W_c.weight.detach() * 2, [decoder.W_c.in_features - hidden, hidden], dim=1
        )
        self._readout = len(of_context)
        self._of_looking = self._ready(of_h, self._looks.W_q, precision)
        self._of_annotations = self._ready(of_context, self._looks.W_k, precision)

    @staticmethod
    def _ready(first: Tensor, other: Tensor | None, precision: InferencePrecision) -> Product:
        """The products with both matrices, one behind the other."""
        return ready_product(first if other is None else torch.cat([first, other]), None, precision=precision)

    def _of_words(self, words: Tensor) -> Tensor:
        return linear(self._E[words], self._W_e, self._cell.bias)

    def _remember(self, annotations: Annotations) -> StepMemory:
        values = annotations.values
        product = self._of_annotations(values.flatten(0, 1)).view(*values.shape[:2], -1)
        keys, mixed = product[..., self._readout :], product[..., : self._readout]
        rounded = mixed if self._precision == "float32" else mixed.bfloat16()
        return self._looks.remember(values if self._looks.W_k is None else keys, rounded, annotations.mask)

    def _first(self, annotations: Annotations) -> Vectors:
        first = {name: states[:, 0, 0] for name, states in self._decoder.first_states(annotations, 1).items()}
        return first | ({"fed": torch.zeros_like(first["h"])} if self._fed else {})

    def _advance(
        self, memory: Memory, before: Vectors, looking: Looking, said: Tensor
    ) -> tuple[Vectors, Tensor, Tensor]:
        shared = [before[name].index_select(0, looking.rows) for name in ("h", "fed") if name in before]
        gates = said.add_(self._of_state(torch.cat(shared, dim=1)).index_select(0, looking.sees))
        after = self._cell.update(gates, before, looking.parents)
        product = self._of_looking(after["h"])
        query = after["h"] if self._looks.W_q is None else product[:, self._readout :].contiguous()
        mixed, weights = self._looks(query, memory, Rows.of(looking.owners, looking.looks.inputs))
        readout = mixed.add_(product[:, : self._readout]).sigmoid_().mul_(2).sub_(1)
        return after | ({"fed": readout} if self._fed else {}), readout, weights
