from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.encoders import build_network
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.fast import encoder_for_search
from regard.fast.encoders.image import prepare_network


@pytest.fixture(autouse=True)
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "0")


def pixels(side: int) -> Tensor:
    return torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
@pytest.mark.parametrize("side", [64, 65, 70, 45])
def test_a_ready_network_gives_the_same_numbers(name: str, side: int) -> None:
    torch.manual_seed(0)
    network = build_network(name).eval().requires_grad_(False)
    ready = prepare_network(network)
    for layer in network.layers[::2]:
        expected = network.run(network.normalise(pixels(side)), until=layer)
        found = ready.run(ready.normalise(pixels(side)), until=layer)
        torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


def test_a_ready_encoder_in_bfloat16_is_near_and_gives_float32() -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(
        ImageEncoderSettings(name="efficientnet_lite0", size=64, weights=None, layer="stage6")
    ).eval()
    expected = encoder(pixels(64)).values
    found = encoder_for_search(encoder, "bfloat16")(pixels(64)).values
    assert found.dtype == torch.float32
    assert 0 < (found - expected).norm() < 0.1 * expected.norm()
    assert torch.equal(encoder(pixels(64)).values, expected), "the encoder itself is left as it was"
