"""The second use of a convolutional network: which of ImageNet's 1,000 classes a picture shows."""

from __future__ import annotations

from functools import cache
from importlib import resources

import torch

from regard.data.images import Photo
from regard.data.resizing import ResizeMode, resize
from regard.encoders.network import ConvNet


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The names of the 1,000 classes of ImageNet's 2012 challenge (Russakovsky et al. 2015), in the order of logits.

    The names are the first words of the WordNet synsets, as torchvision lists them: two classes that share their first
    word ("crane", the bird and the machine) are told apart there.
    """
    text = resources.files("regard.encoders").joinpath("imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def classify(
    network: ConvNet, photo: Photo, *, top: int = 5, size: int = 224, mode: ResizeMode = "crop"
) -> list[tuple[str, float]]:
    """The ``top`` most probable classes of a photo, best first.

    Args:
        network: with weights for ImageNet's classes.
        photo: the picture.
        top: how many classes; all 1,000 at most.
        size: height and width in pixels at which the network sees it.
        mode: how it is brought to that size; networks were trained on crops that keep proportions.

    Returns:
        Pairs of class name and probability.
    """
    labels = imagenet_labels()
    pixels, _ = resize(photo, size, mode)
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(pixels).unsqueeze(0))[0].softmax(dim=0)
    best = probabilities.topk(min(top, len(labels)))
    return [(labels[index], value) for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
