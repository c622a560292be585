"""``regard classify``: what ImageNet's classes call a photo, the second use of an encoder's network."""

from __future__ import annotations

from typing import Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.photos import Photos, find_photos
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_error, echo_json
from regard.errors import ImageError

Network = Annotated[str, typer.Option(metavar="NAME", help="The network, such as resnet50 or vgg16.")]
Weights = Annotated[
    str,
    typer.Option(metavar="FILE", help="Its weights: a .pth or .safetensors file, or 'pretrained' for the published."),
]
Top = Annotated[int, typer.Option(min=1, max=1000, help="How many classes to name.")]


def classify(
    photos: Photos,
    network: Network = "efficientnet_lite0",
    weights: Weights = "pretrained",
    top: Top = 5,
    as_json: AsJson = False,
) -> None:
    """Name the ImageNet classes of photos, the most probable first, one line a photo."""
    from regard.data.images import load_image
    from regard.encoders.labels import classify as classes_of
    from regard.encoders.pretrained import load_network

    with ShownProgress() as progress:
        loaded = load_network(network, weights=weights, progress=progress)
    failed = False
    for found in find_photos(photos):
        try:
            photo = load_image(_path(found), hint=loaded.input_size)
        except ImageError as error:
            echo_error(error)
            failed = True
            continue
        classes = classes_of(loaded, photo, top=top, size=loaded.input_size)
        if as_json:
            entries = [{"label": label, "probability": probability} for label, probability in classes]
            echo_json({"path": photo.path, "classes": entries})
        else:
            echo(f"{photo.path}: " + ", ".join(f"{label} {probability:.1%}" for label, probability in classes))
    if failed:
        raise typer.Exit(1)


def _path(found: str | ImageError) -> str:
    if isinstance(found, ImageError):
        raise found
    return found
