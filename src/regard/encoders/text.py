"""The interface of encoders of sentences: tokens in, one annotation a token out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from regard.annotations import Annotations


class TextEncoder(nn.Module, ABC):
    """Reads whole sentences.

    Attributes:
        E: the embeddings of the source vocabulary; a model with a joint vocabulary may share them with its decoder.
        dim: size of one annotation.
        backward_dim: size of ←h_1 at the end of the summary, which ``rnnsearch`` starts from; 0 without a backward
            half.
    """

    E: nn.Embedding
    dim: int
    backward_dim: int = 0

    @abstractmethod
    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        """Annotations of a batch of sentences, which do not depend on the other sentences or on padding.

        Args:
            tokens: int64 [batch, position]; what stands on padding is not read.
            mask: bool [batch, position], True on real tokens, which come first; every sentence has at least one. None
                when all are real.

        Returns:
            Annotations with exact zeros on padding.

        Raises:
            TextError: more tokens than the encoder has positions for.
        """
