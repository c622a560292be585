"""Training on a GPU: the same numbers up to rounding, and runs that change their device on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from regard.annotations import Annotations
from regard.decoders import build_decoder
from regard.decoders.attend import AttendSettings
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.errors import Interrupted
from regard.fast.training.cuda_graphs import LearningLayers, Replayed
from regard.text.vocabulary import EOS
from regard.training.batched_rewards import BatchedRewards
from regard.training.recipe import Recipe, SelfCritical
from regard.training.rewards import Rewards
from regard.training.run import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def test_the_attention_kernel_equals_the_formula() -> None:
    from regard.ops.triton_additive import additive_attention

    generator = torch.Generator("cuda").manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, device="cuda", dtype=torch.float64).requires_grad_()

    query, keys, v, values = draw(3, 5, 66), draw(3, 49, 66), draw(66), draw(3, 49, 33)
    weights = (torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v).softmax(dim=-1)
    found, found_weights = additive_attention(query, keys, v, values)
    torch.testing.assert_close(found_weights, weights)
    torch.testing.assert_close(found, weights @ values)
    given = (query, keys, v, values)
    ours = torch.autograd.grad(found.square().sum(), given)
    theirs = torch.autograd.grad((weights @ values).square().sum(), given)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_a_pass_over_targets_and_its_gradients_are_those_of_the_processor() -> None:
    torch.manual_seed(0)
    settings = AttendSettings(embedding=12, hidden=10, attention=14, dropout=0.0)
    decoder = build_decoder(settings, dim=8, vocabulary_size=20, backward_dim=0)
    values, tokens = torch.randn(4, 9, 8), torch.randint(0, 20, (4, 3, 7))
    lengths = torch.tensor([[7, 6, 2], [5, 5, 5], [4, 1, 1], [2, 2, 0]])
    real = torch.arange(7) < lengths.unsqueeze(-1)
    results = []
    for device in ("cpu", "cuda"):
        decoder.to(device).zero_grad()
        trace = decoder.trace(Annotations(values.to(device)), tokens.to(device), lengths)
        readouts = trace.readouts[real.to(device)]
        decoder.logits(readouts).square().mean().backward()  # type: ignore[no-untyped-call]
        gradients = [each.grad.cpu().clone() for each in decoder.parameters() if each.grad is not None]
        results.append((readouts.detach().cpu(), trace.weights[real.to(device)].detach().cpu(), *gradients))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_rewards_are_those_of_the_processor() -> None:
    references, settings = [[[7, 8, 9, 10]], [[7, 12], [12, 13, 7]]], SelfCritical(cider=1.0, bleu=1.0)
    samples = torch.tensor([[[7, 8, 9, EOS], [8, EOS, 0, 0]], [[12, 13, EOS, 0], [7, 12, 13, 7]]])
    lengths = torch.tensor([[4, 2], [3, 4]])
    device = torch.device("cuda")
    found = BatchedRewards(references, settings, vocabulary_size=20, device=device).judge(
        [0, 1], samples.to(device), lengths.to(device)
    )
    torch.testing.assert_close(found.cpu(), Rewards(references, settings).judge([0, 1], samples, lengths))


def test_a_recorded_encoder_has_the_gradients_of_the_encoder() -> None:
    torch.manual_seed(0)
    settings = ImageEncoderSettings(name="efficientnet_lite0", size=64, weights=None, train_from="stem")
    encoder = ImageEncoder(settings).to("cuda")
    replayed, parameters = Replayed(lambda: LearningLayers(encoder)), list(encoder.network.parameters())
    for _ in range(4):
        pixels = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, device="cuda")
        results = []
        for layers in (replayed, None):
            with torch.autocast("cuda", torch.bfloat16):
                values = encoder.tail(encoder.trunk(pixels), layers=layers).values
            loss = values.float().square().mean()
            results.append([values.detach().float(), *torch.autograd.grad(loss, parameters)])
            results[-1] = [each.clone() for each in results[-1]]
        for ours, theirs in zip(*results, strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-2 * float(theirs.abs().max()) + 1e-6, rtol=0)


def test_a_run_continues_on_another_device(tiny_recipe: Recipe, tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "run"
    for device, last in (("cpu", 1), ("cuda", 2), ("cpu", 3)):
        try:
            train(tiny_recipe, folder, progress=_StopAfter(last), cache=cache, device=device)
        except Interrupted:
            assert device != "cpu" or last == 1
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]


class _StopAfter:
    """Stops a run when this epoch has been judged."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def start(self, title: str, total: int | None, *, done: int = 0, unit: str = "") -> None:
        if title == f"epoch {self._epoch + 1}":
            raise KeyboardInterrupt

    def advance(self, count: int, note: str = "") -> None:
        pass

    def log(self, line: str) -> None:
        pass
