"""What decoders hand to a walk over whole targets, and how they decide what to multiply first."""

from __future__ import annotations

from torch import Tensor, nn

from regard.attention import Additive, Attention, Concat, Dot, General, Score
from regard.decoders.cells import Cell, GRUCell, Hidden, LSTMCell
from regard.ops.packing import Packing
from regard.ops.recurrent_scan import ReadOperands, read

MIXING = 40
"""Measured: reading a number of the values in a step, forwards and backwards, against a multiplication in a product."""


def read_cell(cell: Cell, gates: Tensor, first: Hidden, packing: Packing) -> Tensor:
    """h after every token [tokens, hidden], of a cell that reads without looking.

    Args:
        cell: the recurrent network.
        gates: [tokens, gates], what all parts of its input add, packed.
        first: the first states of each input, [batch, hidden].
        packing: the real tokens.
    """
    states = {name: state.index_select(0, packing.first_inputs) for name, state in first.items()}
    operands = ReadOperands(gates, states["h"], states.get("c"), cell.weight_hh, cell.bias_hh)
    return read(packing, "lstm" if "c" in states else "gru", operands)


def is_known_attention(attention: nn.Module) -> bool:
    """Whether the fused paths compute this attention: soft and global, with one of our scores and no subclass of them."""
    return type(attention) is Attention and type(attention.score) in (Dot, General, Concat, Additive)


def is_known_cell(cell: nn.Module) -> bool:
    """Whether the fused paths compute this cell: one of ours and no subclass."""
    return type(cell) in (LSTMCell, GRUCell)


def query_operands(score: Score) -> dict[str, Tensor]:
    """What a walk needs of a score besides the keys."""
    match score:
        case Additive():
            return {"W_q": score.W.weight, "v": score.v}
        case Concat():
            return {"W_q": score.W.weight[:, : score.query_dim], "v": score.v}
        case _:
            return {}


def score_scale(score: Score) -> float:
    """What dot products are multiplied with."""
    return score.scale if isinstance(score, Dot) else 1.0


def multiply_first(values: Tensor, width: int, packing: Packing) -> bool:
    """Whether it is less work to multiply values [batch, position, dim] with a matrix [width, dim] before mixing them.

    Both ways take the product and the gradients of the matrix and of what it is multiplied with, of as many rows as
    there are positions or tokens; values that need no gradient save the last. What is mixed is read at every step,
    forwards and backwards, which takes as long as some MIXING products of each number.
    """
    batch, positions, dim = values.shape
    rows, mixing = batch * positions, MIXING * sum(step.inputs for step in packing.steps) * positions
    before = rows * (3 if values.requires_grad else 2) * dim * width + mixing * width
    after = len(packing) * 3 * dim * width + mixing * dim
    return before < after
