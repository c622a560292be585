from __future__ import annotations

import numpy as np
import pytest
import torch

from regard.data.images import load_image
from regard.encoders import build_network
from regard.encoders.labels import classify, imagenet_labels


def test_a_thousand_different_labels_in_the_order_of_the_challenge() -> None:
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    known = {0: "tench", 281: "tabby", 285: "Egyptian cat", 657: "missile", 967: "espresso", 999: "toilet tissue"}
    assert {index: labels[index] for index in known} == known
    assert all(label == label.strip() and label for label in labels)


@pytest.mark.parametrize("top", [1, 5, 1000, 2000])
def test_classes_come_best_first_with_their_probabilities(top: int) -> None:
    torch.manual_seed(0)
    network = build_network("resnet18")
    photo = load_image(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    found = classify(network, photo, top=top, size=64)
    assert len(found) == min(top, 1000)
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    if top >= 1000:
        assert sum(p for _, p in found) == pytest.approx(1, abs=1e-5)
        assert {label for label, _ in found} == set(imagenet_labels())
