"""The gated unit and the maxout readout of Bahdanau et al. 2015, appendix A, shared by ``rnnsearch`` and ``rnnencdec``.

    z = σ(W_z E y + U_z s + C_z c)          A.1.1, the update gate
    r = σ(W_r E y + U_r s + C_r c)          the reset gate
    s̃ = tanh(W E y + U(r∘s) + C c)
    s_t = (1 − z)∘s + z∘s̃
    t̃ = U_o s + V_o E y + C_o c             A.2.2, of the state before the step
    t_j = max(t̃_{2j−1}, t̃_{2j})
    p ∝ exp(W_o t)

y is the previous word, s the previous state and c the context. Every matrix has the paper's name and shape. The paper
leaves biases out of its formulas; ``biases`` adds one to each sum. Where a state is multiplied, weights start
orthogonal as in the paper, elsewhere Glorot-uniform and not normal with deviation 0.01; those that multiply E y are
larger by as much as its numbers are smaller than 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from regard.config import PartSettings
from regard.decoders.base import Decoder
from regard.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float


class GatedSettings(PartSettings):
    """Sizes and options of a decoder with the gated unit."""

    embedding: int = Field(256, ge=1, le=8192)
    """m in the paper."""
    hidden: int = Field(512, ge=1, le=8192)
    """n in the paper."""
    readout: int = Field(256, ge=1, le=8192)
    """l in the paper: numbers behind the maxout."""
    biases: bool = False
    tied: bool = False
    """W_o shares its matrix with E, for which ``readout`` equals ``embedding``."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """On the readout, behind the maxout."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)


@dataclass(frozen=True)
class StackedMatrices:
    """Matrices of one operand, stacked so that one product serves them all; built once per pass, not once per step."""

    words: Tensor
    """[W_z; W_r; W]."""
    gates: Tensor
    """[U_z; U_r]."""
    context: Tensor
    """[C_z; C_r; C]."""


class GatedDecoder(Decoder):
    """The parameters and formulas above.

    Args:
        settings: sizes and options.
        dim: size of the context c.
        start_dim: size of the vector that s_0 = tanh(W_s ·) is computed from.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: tied matrices of different sizes.
    """

    b: nn.Parameter | None
    b_z: nn.Parameter | None
    b_r: nn.Parameter | None
    b_s: nn.Parameter | None
    b_t: nn.Parameter | None
    b_o: nn.Parameter | None

    def __init__(self, settings: GatedSettings, *, dim: int, start_dim: int, vocabulary_size: int) -> None:
        super().__init__()
        if settings.tied and settings.readout != settings.embedding:
            raise ConfigError(
                f"tied matrices with readout {settings.readout} and embedding {settings.embedding}",
                allowed="equal sizes",
                remedy="set readout to the size of the embedding, or tied: false",
            )
        self.vocabulary_size = vocabulary_size
        self.hidden = settings.hidden
        n, m, pairs = settings.hidden, settings.embedding, 2 * settings.readout
        self.E = nn.Embedding(vocabulary_size, m)
        nn.init.normal_(self.E.weight, std=m**-0.5)
        self.W, self.W_z, self.W_r = _matrix(n, m, gain=m**0.5), _matrix(n, m, gain=m**0.5), _matrix(n, m, gain=m**0.5)
        self.U, self.U_z, self.U_r = _orthogonal(n), _orthogonal(n), _orthogonal(n)
        self.C, self.C_z, self.C_r = _matrix(n, dim), _matrix(n, dim), _matrix(n, dim)
        self.W_s = _matrix(n, start_dim)
        self.U_o, self.V_o, self.C_o = _matrix(pairs, n), _matrix(pairs, m, gain=m**0.5), _matrix(pairs, dim)
        self.W_o = self.E.weight if settings.tied else _matrix(vocabulary_size, settings.readout)
        sizes = {"b": n, "b_z": n, "b_r": n, "b_s": n, "b_t": pairs, "b_o": vocabulary_size}
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(size)) if settings.biases else None)
        self.dropout = nn.Dropout(settings.dropout)
        self.embedding_dropout = nn.Dropout(settings.embedding_dropout)

    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        return linear(readouts, self.W_o, self.b_o)

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W_o, self.b_o

    def stacked(self) -> StackedMatrices:
        """The stacked matrices."""
        return StackedMatrices(
            words=torch.cat([self.W_z, self.W_r, self.W]),
            gates=torch.cat([self.U_z, self.U_r]),
            context=torch.cat([self.C_z, self.C_r, self.C]),
        )

    def initial(self, vector: Float[Tensor, "batch start_dim"]) -> Float[Tensor, "batch 1 n"]:
        """s_0 [batch, 1, n] from a vector [batch, start_dim]."""
        return torch.tanh(linear(vector, self.W_s, self.b_s)).unsqueeze(1)

    def word_inputs(
        self, embedded: Float[Tensor, "*shape m"], stacked: StackedMatrices
    ) -> Float[Tensor, "*shape gates"]:
        """What E y [..., m] adds to z, r and s̃, [..., 3n]."""
        biases: list[Tensor] = [bias for bias in (self.b_z, self.b_r, self.b) if bias is not None]
        return linear(embedded, stacked.words, torch.cat(biases) if biases else None)

    def advance(
        self, inputs: Float[Tensor, "*shape gates"], s: Float[Tensor, "*shape n"], stacked: StackedMatrices
    ) -> Float[Tensor, "*shape n"]:
        """s_t from what words and context add to z, r and s̃, [..., 3n], and s_{t−1}, [..., n]."""
        n = self.hidden
        gates, candidate = torch.split_with_sizes(inputs, [2 * n, n], dim=-1)
        z, r = torch.sigmoid(gates + linear(s, stacked.gates)).chunk(2, dim=-1)
        return torch.lerp(s, torch.tanh(candidate + linear(r * s, self.U)), z)

    def readout(
        self, s: Float[Tensor, "*shape n"], embedded: Float[Tensor, "*shape m"], c: Tensor
    ) -> Float[Tensor, "*shape l"]:
        """t [..., l] of s_{t−1} [..., n], E y_{t−1} [..., m] and c_t [..., dim]."""
        pairs = linear(s, self.U_o) + linear(embedded, self.V_o, self.b_t) + linear(c, self.C_o)
        t: Tensor = self.dropout(torch.maximum(pairs[..., 0::2], pairs[..., 1::2]))
        return t


def _matrix(rows: int, columns: int, *, gain: float = 1.0) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns), gain))


def _orthogonal(size: int) -> nn.Parameter:
    return nn.Parameter(nn.init.orthogonal_(torch.empty(size, size)))
