"""EfficientNet-Lite with its published weights names what is on well-known photos."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from regard.data.images import load_image
from regard.encoders.labels import classify
from regard.encoders.network import ConvNet
from regard.encoders.pretrained import PACKAGES, load_network

photos: Any = pytest.importorskip("skimage.data", reason="the photos come with scikit-image")

CATS = {"tabby", "tiger cat", "Egyptian cat"}


@pytest.fixture(scope="module", params=["efficientnet_lite0", "efficientnet_lite2"])
def network(request: pytest.FixtureRequest) -> ConvNet:
    package = PACKAGES[request.param][0]
    if importlib.util.find_spec(package.replace("-", "_")) is None:
        pytest.skip(f"the weights are in the package {package}, which is not installed")
    return load_network(request.param)


def test_the_cat_is_a_cat(network: ConvNet) -> None:
    found = classify(network, load_image(photos.chelsea()), top=3)
    assert found[0][0] in CATS
    assert found[0][1] > 0.3
    assert {label for label, _ in found} <= CATS | {"lynx"}


@pytest.mark.parametrize(("photo", "label"), [("coffee", "espresso"), ("rocket", "missile")])
def test_the_cup_and_the_rocket_are_among_the_first(network: ConvNet, photo: str, label: str) -> None:
    found = classify(network, load_image(getattr(photos, photo)()), top=5)
    assert label in [name for name, _ in found]


@pytest.mark.parametrize("mode", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("size", [160, 224, 225, 288])
def test_the_cat_stays_a_cat_at_every_size_and_mode(network: ConvNet, size: int, mode: Any) -> None:
    (label, _), *_ = classify(network, load_image(photos.chelsea()), size=size, mode=mode)
    assert label in CATS
