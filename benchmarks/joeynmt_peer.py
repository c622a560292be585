"""JoeyNMT on the sentences of a job file: trains its recurrent model on them, and translates them.

    python benchmarks/joeynmt_peer.py JOB.json CHANNEL        (in the environment of the peers; see peer.py)

Model, batches and steps are those of its own trainer and its own search; only reading files and logging are left out.
A GRU of 512 with Bahdanau attention and input feeding reads a bidirectional GRU of 2 × 256, over joint embeddings of
256.
"""

from __future__ import annotations

import json
import random
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from joeynmt.batch import Batch
from joeynmt.builders import build_gradient_clipper, build_optimizer
from joeynmt.model import Model, build_model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary

from answering import serve

UNK, PAD, BOS, EOS = 0, 1, 2, 3
FROM_OURS = {0: PAD, 1: BOS, 2: EOS, 3: UNK}
"""The four special ids come in another order; all others are the same."""

Pair = tuple[list[int], list[int]]


def build(job: dict[str, Any]) -> Model:
    """The model, as JoeyNMT builds it from a configuration."""
    specials = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None, lang_tags=[],
        unk_id=UNK, pad_id=PAD, bos_id=BOS, eos_id=EOS,
    )  # fmt: skip
    vocabulary = Vocabulary([str(number) for number in range(4, job["vocabulary"])], specials)
    sizes = {"type": "recurrent", "rnn_type": "gru", "num_layers": 1, "dropout": job["dropout"]}
    embeddings = {"embedding_dim": job["embedding"], "scale": False, "dropout": job["dropout"]}
    decoder = {
        **sizes,
        "hidden_size": job["hidden"],
        "embeddings": embeddings,
        "attention": "bahdanau",
        "input_feeding": True,
        "init_hidden": "bridge",
        "hidden_dropout": job["dropout"],
    }
    encoder = {**sizes, "hidden_size": job["hidden"] // 2, "embeddings": embeddings, "bidirectional": True}
    return build_model({"encoder": encoder, "decoder": decoder, "tied_embeddings": True}, vocabulary, vocabulary)


def batch_of(pairs: list[Pair]) -> Batch:
    """A batch as JoeyNMT's data loader makes it."""

    def padded(rows: list[list[int]]) -> torch.Tensor:
        longest = max(map(len, rows))
        return torch.tensor(
            [[FROM_OURS.get(each, each) for each in row] + [PAD] * (longest - len(row)) for row in rows]
        )

    sources = [source for source, _ in pairs]
    return Batch(
        src=padded(sources),
        src_length=torch.tensor([len(source) for source in sources]),
        src_prompt_mask=None,
        trg=padded([[1, *target, 2] for _, target in pairs]),
        trg_prompt_mask=None,
        indices=torch.arange(len(pairs)),
        device=torch.device("cpu"),
        pad_index=PAD,
        eos_index=EOS,
    )


class Trainer:
    """The steps of JoeyNMT's own trainer."""

    def __init__(self, model: Model, batches: list[Batch]) -> None:
        self.model, self.batches = model, batches
        settings = {"optimizer": "adamw", "learning_rate": 1e-4, "clip_grad_norm": 5.0, "clip_grad_val": None}
        self.optimizer = build_optimizer(settings, model.parameters())
        self.clip = build_gradient_clipper(settings)
        model.loss_function = ("crossentropy", 0.0)

    def run(self) -> dict[str, Any]:
        """One step on each batch."""
        self.model.train()
        tokens = 0
        for batch in self.batches:
            batch.sort_by_src_length()
            loss, *_ = self.model(return_type="loss", **vars(batch))
            batch.normalize(loss, normalization="tokens").backward()
            self.clip(parameters=self.model.parameters())
            self.optimizer.step()
            self.optimizer.zero_grad()
            tokens += batch.ntokens
        return {"tokens": tokens, "parameters": sum(each.numel() for each in self.model.parameters())}


def translate(model: Model, batches: list[Batch], steps: list[int], *, beam: int) -> dict[str, Any]:
    """Beam search of as many steps as the job says for each batch."""
    model.eval()
    lengths = []
    for batch, most in zip(batches, steps, strict=True):
        batch.sort_by_src_length()
        said, *_ = search(model, batch, max_output_length=most, beam_size=beam, beam_alpha=-1, min_output_length=most)
        lengths.append(int(said.shape[1]))
    return {"steps": lengths}


def main() -> None:
    """Read the job and answer."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    random.seed(0)
    model, batches = build(job), [batch_of(pairs) for pairs in job["batches"]]
    trainer = Trainer(model, batches)
    serve(
        {
            "train": trainer.run,
            "translate": lambda: translate(model, batches, job["steps"], beam=job["beam"]),
        },
        versions={"joeynmt": metadata.version("joeynmt"), "torch": torch.__version__},
    )


if __name__ == "__main__":
    main()
