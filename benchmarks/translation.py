"""The translator that is measured against JoeyNMT: sizes, batches, and the peer itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from inputs import SentenceBatch, Sentences
from peer import Peer, peer_python
from regard.annotations import Annotations
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.encoders.recurrent import RecurrentSettings
from regard.fast import encoder_for_search, encoder_for_training, for_training
from regard.model import EncoderDecoder, ModelSettings
from regard.training.losses import cross_entropy, real_tokens

HIDDEN, EMBEDDING, DROPOUT, BEAM = 512, 256, 0.2, 5
PEER = "JoeyNMT"


def build(
    vocabulary: int, *, hidden: int = HIDDEN, embedding: int = EMBEDDING, readout: int | None = None
) -> EncoderDecoder:
    """``rnnsearch`` behind a bidirectional GRU, over joint embeddings.

    ``readout`` is the width of what the vocabulary product is taken of: JoeyNMT's is the width of its state, and so is
    ours unless told otherwise.
    """
    encoder = RecurrentSettings(embedding=embedding, hidden=hidden // 2, embedding_dropout=DROPOUT)
    decoder = RnnSearchSettings(
        embedding=embedding,
        hidden=hidden,
        attention=hidden,
        readout=readout or hidden,
        dropout=DROPOUT,
        embedding_dropout=DROPOUT,
    )
    settings = ModelSettings(encoder=encoder, decoder=decoder, shared_embeddings=True)
    return EncoderDecoder(settings, vocabulary_size=vocabulary, source_vocabulary_size=vocabulary)


def training_round(
    model: EncoderDecoder,
    batches: list[SentenceBatch],
    *,
    condition: Callable[[], AbstractContextManager[None]] = nullcontext,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> Callable[[], None]:
    """For every batch: cross-entropy, gradient, clipping and AdamW, as our training has them.

    Args:
        model: is trained.
        batches: what it learns from, every time.
        condition: what holds meanwhile, such as compiled loops.
        precision: of the decoder's products.
    """
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    def loss(batch: SentenceBatch) -> Tensor:
        annotations = model.bridged(encoder_for_training(model.encoder)(batch.sources, batch.source_mask))
        real = real_tokens(batch.lengths, batch.tokens.shape[2])
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            trace = for_training(model.decoder).trace(annotations, batch.tokens, batch.lengths)
            return cross_entropy(model.decoder, trace, batch.targets, real, label_smoothing=0.0)[0]

    def steps() -> None:
        model.train()
        with condition():
            for batch in batches:
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss(batch))
                nn.utils.clip_grad_norm_(parameters, 5.0)
                optimizer.step()

    return steps


@torch.inference_mode()
def encode(model: EncoderDecoder, batch: SentenceBatch) -> Annotations:
    """What the decoder looks at."""
    return model.bridged(encoder_for_search(model.encoder)(batch.sources, batch.source_mask))


def steps_of(sentences: Sentences) -> list[int]:
    """How many words each batch is made to write: the mean of its references, ends included."""
    return [round(sum(len(target) + 1 for _, target in batch) / len(batch)) for batch in sentences.batches]


def joeynmt(sentences: Sentences, *, threads: int, hidden: int = HIDDEN, embedding: int = EMBEDDING) -> Peer:
    """JoeyNMT with the same sizes, on the same ids.

    Raises:
        PeerError: it is not there.
    """
    job = {
        "vocabulary": sentences.vocabulary,
        "batches": sentences.batches,
        "steps": steps_of(sentences),
        "hidden": hidden,
        "embedding": embedding,
        "dropout": DROPOUT,
        "beam": BEAM,
    }
    return Peer("joeynmt_peer.py", job, threads=threads, python=peer_python())
