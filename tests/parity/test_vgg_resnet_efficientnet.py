"""VGG and ResNet against torchvision, EfficientNet-Lite against efficientnet_lite_pytorch: parameters and every layer.

Two forms of the same comparison. ``frozen`` runs everywhere, against outputs of those packages that are stored in
``networks.json.gz``. ``live`` runs where the packages can be imported, and says so where they cannot; torchvision from
the package index does not import beside a CPU build of torch, because it names operators that its compiled part would
bring, so those are declared here. ``python tests/parity/test_vgg_resnet_efficientnet.py`` writes the stored outputs.

No weights are stored: every parameter is filled by a formula from its place in the list of parameters. Everything is
computed in float64: these loud random networks turn the rounding of float32, which differs between processors and
numbers of threads, into visible differences.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders import NETWORKS
from regard.encoders.network import ConvNet

STORED = Path(__file__).with_name("networks.json.gz")
PERIOD = 9973
BATCH_SHAPE = (2, 3, 97, 75)
PACKAGE_OF = {name: "efficientnet_lite_pytorch" if "lite" in name else "torchvision" for name in NETWORKS}


def fill(network: nn.Module, name: str) -> None:
    """Set every parameter and statistic to a wave whose frequency is given by its place in the list."""
    # Loud enough for the ceiling of ReLU6 to matter; the others have none and would only grow.
    loudness = 4.0 if "lite" in name else 1.0
    steps = torch.arange(PERIOD, dtype=torch.float64)
    for place, (path, tensor) in enumerate(network.state_dict().items()):
        if path.endswith("num_batches_tracked"):
            continue
        wave = torch.sin(steps * (0.7 + 0.013 * place) + place).float()
        values = wave.repeat(math.ceil(tensor.numel() / PERIOD))[: tensor.numel()].view(tensor.shape)
        if tensor.dim() > 1:
            tensor.copy_(values * math.sqrt(2 * tensor.shape[0] / tensor.numel()))
        elif path.endswith("running_var"):
            tensor.copy_(1 + 0.5 * values)
        elif path.endswith("weight"):
            tensor.copy_(loudness * (1 + 0.2 * values))
        else:
            tensor.copy_(0.1 * values)


def batch() -> Tensor:
    numbers = torch.arange(math.prod(BATCH_SHAPE), dtype=torch.float64)
    return (2 * torch.sin(numbers * 0.37) * torch.cos(numbers * 0.0011)).view(BATCH_SHAPE)


def parameters(network: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def layout(name: str) -> ConvNet:
    """A network whose memory is set aside but not drawn: ``fill`` does that."""
    with torch.device("meta"):
        network = NETWORKS[name](name)
    return network.to_empty(device="cpu").double().eval()


def outputs_of(network: ConvNet) -> Iterator[tuple[str, Tensor]]:
    x = batch()
    after = None
    for layer in network.layers:
        x = network.run(x, after=after, until=layer)
        after = layer
        yield layer, x
    yield "classifier", network.classify(x)


def summary(x: Tensor) -> dict[str, Any]:
    """Enough of a tensor to know it by: its shape, mean and spread, and twelve values from all over it."""
    flat = x.double().contiguous().flatten()
    chosen = flat[:: max(1, flat.numel() // 11)][:12]
    return {
        "shape": list(x.shape),
        "mean": float(f"{flat.mean():.7g}"),
        "spread": float(f"{flat.std():.7g}"),
        "values": [float(f"{value:.7g}") for value in chosen],
    }


def stored() -> dict[str, Any]:
    result: dict[str, Any] = json.loads(gzip.decompress(STORED.read_bytes()))
    return result


_declared: list[torch.library.Library] = []


def import_torchvision() -> Any:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed; the frozen outputs stand for it")
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
        return importlib.import_module("torchvision")


def build_original(name: str) -> nn.Module:
    if PACKAGE_OF[name] == "torchvision":
        models = import_torchvision().models
        with torch.device("meta"):
            original: nn.Module = getattr(models, name)(weights=None)
        return original.to_empty(device="cpu").double().eval()
    if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        pytest.skip("efficientnet_lite_pytorch is not installed; the frozen outputs stand for it")
    package = importlib.import_module("efficientnet_lite_pytorch")
    built: nn.Module = package.EfficientNet.from_name(name.replace("_", "-"), image_size=None)
    return built.double().eval()


def original_outputs(name: str, original: Any) -> Iterator[tuple[str, Tensor]]:
    """Every layer's output under our names, computed by the original's own modules."""
    if name.startswith("vgg"):
        return _vgg_outputs(original)
    return _resnet_outputs(original) if name.startswith("resnet") else _efficientnet_outputs(original)


def _vgg_outputs(original: Any) -> Iterator[tuple[str, Tensor]]:
    x = batch()
    stage, number = 1, 1
    for module in original.features:
        x = module(x)
        if isinstance(module, nn.ReLU):
            yield f"conv{stage}_{number}", x.clone()
            number += 1
        elif isinstance(module, nn.MaxPool2d):
            yield f"pool{stage}", x
            stage, number = stage + 1, 1
    yield "classifier", original.classifier(torch.flatten(original.avgpool(x), 1))


def _resnet_outputs(original: Any) -> Iterator[tuple[str, Tensor]]:
    x = original.maxpool(original.relu(original.bn1(original.conv1(batch()))))
    yield "stem", x
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        x = getattr(original, layer)(x)
        yield layer, x
    yield "classifier", original.fc(torch.flatten(original.avgpool(x), 1))


def _efficientnet_outputs(original: Any) -> Iterator[tuple[str, Tensor]]:
    x = F.relu6(original._bn0(original._conv_stem(batch())))
    yield "stem", x
    stages = itertools.groupby(original._blocks, key=lambda block: block._block_args.output_filters)
    for number, (_, blocks) in enumerate(stages, start=1):
        for block in blocks:
            x = block(x)
        yield f"stage{number}", x
    x = F.relu6(original._bn1(original._conv_head(x)))
    yield "head", x
    yield "classifier", original._fc(x.mean(dim=(2, 3)))


def reference(form: str, name: str) -> tuple[dict[str, list[int]], dict[str, Any]]:
    if form == "frozen":
        entry = stored()["networks"][name]
        return entry["parameters"], entry["layers"]
    return describe_original(name)


def describe_original(name: str) -> tuple[dict[str, list[int]], dict[str, Any]]:
    original = build_original(name)
    fill(original, name)
    with torch.no_grad():
        return parameters(original), {layer: summary(x) for layer, x in original_outputs(name, original)}


@pytest.mark.parametrize("form", ["frozen", "live"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_parameters_and_every_layer_equal_the_original(name: str, form: str) -> None:
    expected_parameters, expected_layers = reference(form, name)
    network = layout(name)
    fill(network, name)

    assert list(parameters(network).items()) == list(expected_parameters.items()), "names, shapes and order"
    seen = []
    with torch.no_grad():
        for layer, x in outputs_of(network):
            found, expected = summary(x), expected_layers[layer]
            assert found["shape"] == expected["shape"], layer
            assert expected["spread"] > 0, f"{layer} says nothing"
            # Summation orders differ between processors, and a deep network adds up the differences.
            tolerance = 1e-5 * expected["spread"]
            assert found["values"] == pytest.approx(expected["values"], rel=0, abs=tolerance), layer
            assert found["mean"] == pytest.approx(expected["mean"], rel=0, abs=tolerance), layer
            seen.append(layer)
    assert seen == list(expected_layers)


def write() -> None:
    networks = {}
    for name in NETWORKS:
        shapes, layers = describe_original(name)
        networks[name] = {"parameters": shapes, "layers": layers}
    sources = {
        "torchvision": import_torchvision().__version__,
        "efficientnet_lite_pytorch": importlib.import_module("importlib.metadata").version("efficientnet_lite_pytorch"),
    }
    text = json.dumps({"sources": sources, "networks": networks})
    STORED.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    write()
