from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders import NETWORKS, build_network, vgg
from regard.encoders.efficientnet_lite import StridedConv2d
from regard.encoders.network import ConvNet
from regard.errors import ConfigError

SMALL = ("vgg16", "vgg16_bn", "resnet18", "resnet50", "efficientnet_lite0", "efficientnet_lite3")


def randomise(network: ConvNet) -> ConvNet:
    """Fresh batch norms are the identity, which would hide a missing one."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.0),
                (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                assert tensor is not None
                tensor.data.uniform_(low, high, generator=generator)
    return network


@pytest.fixture(scope="module")
def networks() -> dict[str, ConvNet]:
    torch.manual_seed(0)
    # The full classifier of VGG is half a gigabyte; its size is checked in the parity tests.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "HIDDEN", 16)
        return {name: randomise(build_network(name)) for name in SMALL}


@pytest.fixture(params=SMALL)
def network(request: pytest.FixtureRequest, networks: dict[str, ConvNet]) -> ConvNet:
    return networks[request.param]


def pixels(batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (batch, height, width, 3), dtype=torch.uint8, generator=generator)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1))


def test_the_layers_are_those_of_the_papers(networks: dict[str, ConvNet]) -> None:
    assert networks["vgg16"].layers == (
        *("conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2", "conv3_1", "conv3_2", "conv3_3", "pool3"),
        *("conv4_1", "conv4_2", "conv4_3", "pool4", "conv5_1", "conv5_2", "conv5_3", "pool5"),
    )
    assert networks["resnet50"].layers == ("stem", "layer1", "layer2", "layer3", "layer4")
    assert networks["efficientnet_lite0"].layers == ("stem", *(f"stage{number}" for number in range(1, 8)), "head")


@pytest.mark.parametrize(
    ("name", "layer", "channels", "grid"),
    [
        ("vgg16", "conv5_3", 512, 14),
        ("resnet18", "layer4", 512, 7),
        ("resnet50", "layer3", 1024, 14),
        ("resnet50", "layer4", 2048, 7),
        ("efficientnet_lite0", "head", 1280, 7),
        ("efficientnet_lite0", "stage5", 112, 14),
        ("efficientnet_lite3", "head", 1280, 7),
    ],
)
def test_the_published_grids_at_224_pixels(
    networks: dict[str, ConvNet], name: str, layer: str, channels: int, grid: int
) -> None:
    network = networks[name]
    assert (network.channels(layer), network.positions(layer, 224)) == (channels, grid)
    assert network.stride(layer) == 224 // grid


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (64, 35), (71, 101)])
def test_every_layer_has_the_shape_that_it_promises(network: ConvNet, height: int, width: int) -> None:
    x = network.normalise(pixels(1, height, width))
    with torch.inference_mode():
        after = None
        for layer in network.layers:
            x = network.run(x, after=after, until=layer)
            rows, columns = network.positions(layer, height), network.positions(layer, width)
            assert x.shape == (1, network.channels(layer), rows, columns), layer
            after = layer
        assert network.classify(x).shape == (1, 1000)


def test_running_in_two_parts_equals_running_at_once(network: ConvNet) -> None:
    x = network.normalise(pixels(2, 33, 43))
    with torch.inference_mode():
        whole = network.run(x, until=network.layers[-1])
        for cut in network.layers[:: len(network.layers) // 4]:
            part = network.run(x, until=cut)
            kept = part.clone()
            rest = network.run(part, after=cut, until=network.layers[-1])
            assert close(rest, whole), cut
            assert torch.equal(part, kept), f"what was cached after {cut} must not be written to"


def test_a_picture_does_not_depend_on_its_batch(network: ConvNet) -> None:
    several = pixels(3, 40, 40)
    with torch.inference_mode():
        together = network(several)
        alone = torch.cat([network(several[index : index + 1]) for index in range(3)])
    assert close(together, alone)


def test_memory_order_changes_nothing(network: ConvNet) -> None:
    x = network.normalise(pixels(2, 37, 45))
    assert x.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        layer = network.default_layer
        last = network.run(x, until=layer)
        first = network.run(x.contiguous(), until=layer)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert close(last, first)


def test_fused_equals_plain_and_has_no_batch_norm(network: ConvNet) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fused = network.fused()
    picture = pixels(2, 50, 39)
    with torch.inference_mode():
        plain = folded = network.normalise(picture)
        after = None
        for layer in network.layers:
            plain = network.run(plain, after=after, until=layer)
            folded = fused.run(folded, after=after, until=layer)
            assert close(folded, plain, 1e-4), layer
            after = layer
        assert close(fused(picture), network(picture), 1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_truncate_keeps_the_numbers_and_drops_the_rest(network: ConvNet) -> None:
    layer = network.layers[len(network.layers) // 2]
    picture = network.normalise(pixels(1, 32, 40))
    short = copy.deepcopy(network)
    short.truncate(layer)
    with torch.inference_mode():
        assert torch.equal(short.run(picture, until=layer), network.run(picture, until=layer))
        assert torch.equal(short.fused().run(picture, until=layer), network.fused().run(picture, until=layer))
    kept = {name for module in short.modules() for name in module._parameters}
    assert kept, "something is left"
    used = sum(p.numel() for name in short.layers for module in short.layer_modules(name) for p in module.parameters())
    assert sum(parameter.numel() for parameter in short.parameters()) == used
    assert short.layers[-1] == layer
    with pytest.raises(ConfigError, match="has no layer"):
        short.channels(network.layers[-1])


def test_layer_modules_hold_every_parameter_before_the_classifier_once(network: ConvNet) -> None:
    held = [id(p) for layer in network.layers for module in network.layer_modules(layer) for p in module.parameters()]
    assert len(held) == len(set(held))
    without = copy.deepcopy(network)
    without.truncate(network.layers[-1])
    assert len(held) == len(list(without.parameters()))


def test_normalise_scales_as_published(networks: dict[str, ConvNet]) -> None:
    picture = torch.tensor([[[[0, 127, 255]]]], dtype=torch.uint8).expand(1, 32, 32, 3)
    lite = networks["efficientnet_lite0"].normalise(picture)[0, :, 0, 0]
    assert lite.tolist() == pytest.approx([-127 / 128, 0, 1])
    imagenet = networks["resnet18"].normalise(picture)[0, :, 0, 0]
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = [(value / 255 - m) / d for value, m, d in zip((0, 127, 255), mean, deviation, strict=True)]
    assert imagenet.tolist() == pytest.approx(expected, abs=1e-5)
    assert picture[0, 0, 0].tolist() == [0, 127, 255], "the pixels stay as they were"


def test_unknown_names_come_with_the_nearest(networks: dict[str, ConvNet]) -> None:
    with pytest.raises(
        ConfigError, match=r"vgg16 has no layer 'conv5-3'; allowed: conv1_1, .*did you mean 'conv5_3'\?"
    ):
        networks["vgg16"].channels("conv5-3")
    with pytest.raises(ConfigError, match="did you mean 'layer4'"):
        networks["resnet18"].run(torch.zeros(1, 3, 32, 32), until="layer5")
    with pytest.raises(ConfigError, match="did you mean 'resnet50'"):
        build_network("resnet5")
    with pytest.raises(ConfigError, match=r"there is no network 'x'; allowed: vgg16, .*efficientnet_lite4$"):
        build_network("x")


def test_layers_in_the_wrong_order_are_refused(networks: dict[str, ConvNet]) -> None:
    with pytest.raises(ConfigError, match="lies before"):
        networks["resnet18"].run(torch.zeros(1, 64, 8, 8), after="layer3", until="layer1")


def test_programming_errors_are_asserted(networks: dict[str, ConvNet]) -> None:
    network = networks["resnet18"]
    with pytest.raises(AssertionError, match="uint8"):
        network.normalise(torch.zeros(1, 32, 32, 3))
    with pytest.raises(AssertionError, match="H, W, 3"):
        network.normalise(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(AssertionError, match="32 × 32 pixels"):
        network.run(torch.zeros(1, 3, 31, 64), until="stem")


def test_gradients_reach_every_layer(network: ConvNet) -> None:
    network.zero_grad()
    network(pixels(2, 48, 48)).square().mean().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.parameters())
    network.zero_grad()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (8, 7), (13, 4), (1, 1), (2, 5)])
def test_padding_is_tensorflows_same(kernel: int, height: int, width: int) -> None:
    """⌈n / 2⌉ outputs; the padding is split evenly and an odd one goes to the end, written out position by position."""
    torch.manual_seed(kernel)
    convolution = StridedConv2d(2, 4, kernel, stride=2, groups=2, bias=False).double()
    x = torch.randn(1, 2, height, width, dtype=torch.float64)

    def before(size: int) -> int:
        return max((-(-size // 2) - 1) * 2 + kernel - size, 0) // 2

    expected = torch.zeros(1, 4, -(-height // 2), -(-width // 2), dtype=torch.float64)
    for channel, row, column in (
        (c, r, k) for c in range(4) for r in range(expected.shape[2]) for k in range(expected.shape[3])
    ):
        for i, j in ((i, j) for i in range(kernel) for j in range(kernel)):
            y, z = row * 2 + i - before(height), column * 2 + j - before(width)
            if 0 <= y < height and 0 <= z < width:
                expected[0, channel, row, column] += convolution.weight[channel, 0, i, j] * x[0, channel // 2, y, z]
    assert torch.allclose(convolution(x), expected, rtol=0, atol=1e-12)


def test_fresh_weights_keep_the_signal_alive() -> None:
    torch.manual_seed(1)
    for name in ("resnet18", "efficientnet_lite0", "efficientnet_lite4"):
        with torch.inference_mode():
            network = build_network(name)
            x = network.run(network.normalise(pixels(1, 64, 64)), until=network.default_layer)
        assert 1e-3 < x.std() < 1e3, name


def test_every_name_builds_its_own_kind() -> None:
    assert sorted(NETWORKS) == sorted(
        ["vgg16", "vgg16_bn"]
        + [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)]
        + [f"efficientnet_lite{number}" for number in range(5)]
    )
    for name in NETWORKS:
        with torch.device("meta"):
            network: Any = NETWORKS[name](name, num_classes=7)
        assert network.name == name
        assert network.default_layer in network.layers
        assert network.get_buffer("pixel_scale").device.type == "cpu"


def test_vgg_classifier_pools_flattens_and_connects(networks: dict[str, ConvNet]) -> None:
    network: Any = networks["vgg16"]
    features = torch.randn(2, 512, 14, 21)
    pooled = F.adaptive_avg_pool2d(features, 7).flatten(1)
    first, second, third = (layer for layer in network.classifier if isinstance(layer, nn.Linear))
    expected = third(second(first(pooled).relu()).relu())
    assert torch.allclose(network.classify(features), expected, atol=1e-6)
