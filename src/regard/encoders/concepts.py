"""Semantic attention: what the network's own classifier names becomes annotations beside the grid (You et al. 2016,
"Image captioning with semantic attention").

    p = softmax(W m + b),  m = 1/N Σ_i f_i               the classifier: the mean over all N cells, one linear map
    P(w) = Σ_{c ∈ w} p_c                                 classes become everyday words, see :func:`concept_words`
    w_1 … w_k = the k most probable words
    a_{N+j} = LayerNorm(U √P(w_j) (E_{w_j} + r_{w_j}) + t)          annotation N + j of the decoder
    M_w(i) = Σ_{c ∈ w} p_c / P(w) · W_c f_i              class activation map (Zhou et al. 2016, eq. 2)
    μ_j(i) = max(M_{w_j}(i), 0) / Σ_i max(M_{w_j}(i), 0)
    α'_i = α_i + Σ_j α_{N+j} μ_j(i)                      attention on concepts as weights on the photo; Σ_i α'_i = 1

E_w is the decoder's own embedding of the word, so that a concept is said in the vector that the output layer knows the
word by, even where few captions taught it; of a word that the vocabulary lacks, that of a broader one. r_w and the type
vector t are learned. The activation map is exact, because mean and linear map commute: the mean of M_w over the grid is
the class score without its bias. Differences from the paper: concepts are annotations of the one attention instead of
an input attention and an output attention of their own; the square root keeps unsure words audible; and the words come
from ImageNet's classes instead of from detectors of caption words.

A network that learns to caption forgets its classes. ``Concepts.forgotten`` is what learning without forgetting (Li &
Hoiem 2016, eq. 2, temperature 1) makes small: KL(p⁰ ‖ p) from the class probabilities p⁰ of the network as it was.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regard.annotations import Annotations, Concepts
from regard.errors import ModelError

SMALLEST = 1e-6
"""Keeps square roots and quotients finite."""


class ConceptWord(NamedTuple):
    """An everyday word for some of ImageNet's classes.

    Attributes:
        text: the word, such as ``cat``.
        broader: what stands in for it in a vocabulary that lacks it; None where the word is broad itself.
        labels: of its classes, as :func:`regard.encoders.labels.imagenet_labels` lists them.
    """

    text: str
    broader: str | None
    labels: tuple[str, ...]


@cache
def concept_words() -> tuple[ConceptWord, ...]:
    """The words of ``imagenet_words.txt``; every one of the 1,000 classes belongs to one of them.

    A line is ``word: class, class, …``, or ``word < broader word: class, …``.
    """
    text = resources.files("regard.encoders").joinpath("imagenet_words.txt").read_text(encoding="utf-8")
    words = []
    for line in text.splitlines():
        head, _, labels = line.partition(": ")
        word, _, broader = head.partition(" < ")
        words.append(ConceptWord(word, broader or None, tuple(labels.split(", "))))
    return tuple(words)


def class_words() -> Tensor:
    """The number of the word of each class, int64 [1000]."""
    from regard.encoders.labels import imagenet_labels

    numbers = {label: number for number, word in enumerate(concept_words()) for label in word.labels}
    return torch.tensor([numbers[label] for label in imagenet_labels()], device="cpu")


class ConceptFinder(nn.Module):
    """Finds the concepts of a picture in the features that a classifier reads.

    Args:
        count: k, how many words to keep.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        words = class_words()
        members = F.one_hot(words, len(concept_words())).float()
        self.register_buffer("words", words, persistent=False)
        self.register_buffer("members", members, persistent=False)

    def forward(self, features: Tensor, classifier: nn.Linear) -> Concepts:
        """The concepts of a batch.

        Args:
            features: f, float [batch, position, channels], what the classifier averages.
            classifier: W and b.
        """
        classes = class_probabilities(features, classifier)
        of_words = (classes @ self.get_buffer("members")).float()
        probabilities, words = of_words.topk(self.count, dim=-1)
        return Concepts(words, probabilities, self._maps(features, classes, words, classifier))

    @torch.no_grad()
    def _maps(self, features: Tensor, classes: Tensor, words: Tensor, classifier: nn.Linear) -> Tensor:
        """μ, [batch, k, position]."""
        members = self.get_buffer("words") == words.unsqueeze(-1)
        shares = classes.unsqueeze(1) * members
        shares = shares / shares.sum(dim=-1, keepdim=True).clamp_min(SMALLEST)
        activations = (shares @ classifier.weight.float()) @ features.float().transpose(1, 2)
        # a map that is nowhere positive becomes uniform
        positive = activations.float().clamp_min(0) + SMALLEST
        return positive / positive.sum(dim=-1, keepdim=True)


def class_probabilities(features: Tensor, classifier: nn.Linear) -> Tensor:
    """p, float32 [batch, classes], of features [batch, position, channels]."""
    logits: Tensor = classifier(features.mean(dim=1))
    return logits.float().softmax(dim=-1)


def forgotten(features: Tensor, classifier: nn.Linear, taught: Tensor) -> Tensor:
    """KL(p⁰ ‖ p), [batch], of the classes that features [batch, position, channels] show, from p⁰ [batch, classes]."""
    logits: Tensor = classifier(features.mean(dim=1))
    return F.kl_div(logits.float().log_softmax(dim=-1), taught, reduction="none").sum(dim=-1)


class ConceptEmbedding(nn.Module):
    """Concepts to annotations of the decoder.

    Args:
        dim: size of an annotation.
        embedding: size of E's rows, or of the learned ones where the decoder reads no words.

    Attributes:
        tokens: int64 [words], the token of each word in the decoder's vocabulary, -1 where it has none.
    """

    def __init__(self, *, dim: int, embedding: int) -> None:
        super().__init__()
        count = len(concept_words())
        self.r = nn.Embedding(count, embedding)
        nn.init.normal_(self.r.weight, std=embedding**-0.5)
        self.U = nn.Linear(embedding, dim)
        self.norm = nn.LayerNorm(dim)
        self.register_buffer("tokens", torch.full((count,), -1))

    @torch.no_grad()
    def name(self, tokens: Tensor) -> None:
        """Tie the words to their tokens, int64 [words]; those that had none before begin as their embedding alone."""
        former = self.get_buffer("tokens")
        self.r.weight.masked_fill_(((former < 0) & (tokens.to(former) >= 0)).unsqueeze(1), 0.0)
        former.copy_(tokens)

    def check(self, vocabulary_size: int, *, origin: str) -> None:
        """Refuse tokens that the vocabulary does not have.

        Raises:
            ModelError: there are such.
        """
        tokens = self.get_buffer("tokens")
        if int(tokens.amin()) < -1 or int(tokens.amax()) >= vocabulary_size:
            raise ModelError(f"{origin}: concepts stand for tokens that the vocabulary of {vocabulary_size} lacks")

    def forward(self, annotations: Annotations, embeddings: Tensor | None) -> Annotations:
        """The annotations with those of their concepts behind them.

        Args:
            annotations: values [batch, N, dim], and concepts.
            embeddings: the decoder's E [vocabulary, embedding]; None where it reads no words.
        """
        concepts = annotations.concepts
        assert concepts is not None, "the encoder names concepts"
        embedded = self.r(concepts.words)
        if embeddings is not None:
            tokens = self.get_buffer("tokens")[concepts.words]
            embedded = embedded + F.embedding(tokens.clamp_min(0), embeddings) * (tokens >= 0).unsqueeze(-1)
        sure = concepts.probabilities.clamp_min(SMALLEST).sqrt().unsqueeze(-1)
        values = self.norm(self.U(sure * embedded))
        return annotations.with_concepts(values)
