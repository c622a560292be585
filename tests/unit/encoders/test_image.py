from __future__ import annotations

import copy
import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from PIL.Image import Transpose
from torch import Tensor, nn

from regard.config import parse
from regard.data.images import load_image
from regard.encoders import build_network, image
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.encoders.network import ConvNet
from regard.errors import ConfigError, WeightsError

NAMES = ("resnet18", "efficientnet_lite0")
FIRST = {"resnet18": "stem", "efficientnet_lite0": "stem"}
MIDDLE = {"resnet18": "layer3", "efficientnet_lite0": "stage6"}
LAST = {"resnet18": "layer4", "efficientnet_lite0": "head"}


@cache
def network(name: str) -> ConvNet:
    """Random weights, and batch norms whose statistics are not those of the identity."""
    torch.manual_seed(11)
    built = build_network(name)
    generator = torch.Generator().manual_seed(3)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return built


@pytest.fixture(autouse=True)
def _drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "build_network", lambda name: copy.deepcopy(network(name)))


def encoder(name: str = "resnet18", **values: Any) -> ImageEncoder:
    return ImageEncoder(ImageEncoderSettings(name=name, weights=None, **{"size": 40, **values}))


def pixels(batch: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=generator)


def statistics(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


SHAPES: list[dict[str, Any]] = [
    {},
    {"layer": "middle"},
    {"size": 45},
    {"size": 97, "pool": 2},
    {"form": "tiles", "tiles": 2, "size": 33},
    {"form": "tiles", "tiles": 2, "size": 32, "layer": "middle"},
]


@pytest.mark.parametrize("start", [None, "first", "middle", "last"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_forward_is_trunk_then_tail(name: str, shape: dict[str, Any], start: str | None) -> None:
    values = dict(shape)
    if "layer" in values:
        values["layer"] = MIDDLE[name]
        if start == "last":
            start = "middle"
    values["train_from"] = {None: None, "first": FIRST[name], "middle": MIDDLE[name], "last": LAST[name]}[start]
    made = encoder(name, **values)
    picture = pixels(2, made.picture_size)

    kept = made.trunk(picture)
    assert kept.shape == (2, *made.trunk_shape)
    assert not kept.requires_grad
    # What comes back from a cache has the numbers and not the memory order.
    cached = torch.from_numpy(kept.numpy().copy(order="C"))
    annotations = made(picture)
    assert annotations.values.shape == (2, made.positions, made.dim)
    assert annotations.mask is None
    tolerance = 1e-5 * float(annotations.values.detach().abs().max())
    for given in (kept, cached):
        assert torch.allclose(made.tail(given).values, annotations.values, rtol=0, atol=tolerance)
    alone = torch.cat([made(picture[index : index + 1]).values for index in range(2)])
    assert torch.allclose(alone, annotations.values, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_annotations_are_the_cells_of_the_layer_row_by_row(name: str) -> None:
    made = encoder(name, layer=MIDDLE[name], size=100)
    picture = pixels(1, 100)
    grid = made.network.run(made.network.normalise(picture), until=MIDDLE[name])[0]
    rows, columns = made.grid_shape
    assert grid.shape == (made.dim, rows, columns)
    values = made(picture).values[0]
    for row in range(rows):
        for column in range(columns):
            assert torch.equal(values[row * columns + column], grid[:, row, column])


def test_each_tile_goes_through_the_network_by_itself() -> None:
    made = encoder(form="tiles", tiles=3, size=32)
    picture = pixels(1, 96)
    values = made(picture).values
    for row in range(3):
        for column in range(3):
            tile = picture[:, row * 32 : row * 32 + 32, column * 32 : column * 32 + 32].contiguous()
            vector = made.network.run(made.network.normalise(tile), until="layer4").mean(dim=(2, 3))
            assert torch.allclose(values[:, row * 3 + column], vector, atol=1e-5 * float(vector.detach().abs().max()))


def test_a_change_in_one_tile_changes_one_annotation() -> None:
    made = encoder(form="tiles", tiles=2, size=32)
    picture = pixels(1, 64)
    changed = picture.clone()
    changed[:, 40:, :20] = 255 - changed[:, 40:, :20]
    differs = (made(picture).values != made(changed).values).any(dim=2)[0]
    assert differs.tolist() == [False, False, True, False]


def test_pool_averages_the_grid() -> None:
    fine, coarse = encoder(size=128), encoder(size=128, pool=2)
    picture = pixels(1, 128)
    assert (fine.grid_shape, coarse.grid_shape) == ((4, 4), (2, 2))
    blocks = fine(picture).values.view(1, 2, 2, 2, 2, -1).mean(dim=(2, 4)).flatten(1, 2)
    assert torch.allclose(coarse(picture).values, blocks, rtol=1e-4, atol=1e-5 * float(blocks.detach().abs().max()))


@pytest.mark.parametrize("start", [None, "stem", "layer2", "layer4"])
def test_batch_norms_never_move_and_only_the_tail_learns(start: str | None) -> None:
    made = encoder(train_from=start)
    head = nn.Linear(made.dim, 3)
    before = statistics(made)
    weights = {name: parameter.clone() for name, parameter in made.named_parameters()}
    picture = pixels(2, 40)
    made.train()
    expected = made.eval()(picture).values.detach()

    made.train()
    assert made.training
    assert not any(module.training for module in made.network.modules())
    assert torch.equal(made(picture).values, expected), "training mode changes nothing that is seen"
    parameters = [*head.parameters(), *(each for each in made.parameters() if each.requires_grad)]
    head(made(picture).values / expected.abs().max()).square().mean().backward()
    with torch.no_grad():
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)

    after = statistics(made)
    assert all(torch.equal(after[name], before[name]) for name in before)
    layers = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    learns = {None: (), "stem": layers, "layer2": layers[3:], "layer4": layers[5:]}[start]
    for name, parameter in made.named_parameters():
        in_tail = name.split(".")[1] in learns
        assert parameter.requires_grad == in_tail, name
        assert (parameter.grad is not None) == in_tail, name
        assert torch.equal(parameter, weights[name]) != in_tail, name


def test_what_is_never_used_is_not_kept() -> None:
    made = encoder(layer="layer3")
    names = {name.split(".")[1] for name in made.state_dict()}
    assert names == {"conv1", "bn1", "layer1", "layer2", "layer3"}


@pytest.mark.parametrize("values", [{}, {"train_from": "layer3"}, {"form": "tiles", "tiles": 2, "size": 32}])
def test_fused_equals_plain(values: dict[str, Any]) -> None:
    made = encoder(**values)
    fused = made.fused()
    picture = pixels(2, made.picture_size)
    plain = made(picture).values
    assert torch.allclose(fused(picture).values, plain, rtol=0, atol=1e-4 * float(plain.detach().abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in made.modules())


def test_folded_is_fused_from_the_start_and_takes_its_state() -> None:
    fused, folded = encoder().fused(), encoder(folded=True)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    folded.load_state_dict(fused.state_dict())
    picture = pixels(1, 40)
    assert torch.equal(folded(picture).values, fused(picture).values)


def test_the_state_of_one_encoder_fills_another() -> None:
    made, other = encoder(train_from="layer4"), encoder(train_from="layer4")
    torch.manual_seed(12)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    other.load_state_dict(made.state_dict())
    picture = pixels(1, 40)
    assert torch.equal(other(picture).values, made(picture).values)


def test_the_fingerprint_follows_what_the_trunk_depends_on() -> None:
    same = encoder(train_from="layer4").trunk_fingerprint()
    assert encoder(train_from="layer4").trunk_fingerprint() == same
    others = [
        encoder(train_from="layer3"),
        encoder(train_from="layer4", size=96),
        encoder(train_from="layer4", mode="crop"),
        encoder(),
        encoder(layer="layer3"),
        encoder("resnet34", train_from="layer4"),
    ]
    assert len({same, *(each.trunk_fingerprint() for each in others)}) == len(others) + 1

    changed = encoder(train_from="layer4")
    with torch.no_grad():
        next(iter(changed.network.layer_modules("layer4")[0].parameters())).add_(1)
    assert changed.trunk_fingerprint() == same, "the tail is no part of it"
    with torch.no_grad():
        next(iter(changed.network.layer_modules("layer3")[0].parameters())).add_(1)
    assert changed.trunk_fingerprint() != same


STORED_AS = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("values", [{}, {"form": "tiles", "tiles": 4, "size": 32}], ids=["grid", "tiles"])
@pytest.mark.parametrize("mode", ["squash", "crop", "letterbox"])
def test_all_orientations_of_a_photo_have_the_same_annotations_and_regions(mode: Any, values: dict[str, Any]) -> None:
    made = encoder(**{"size": 128, **values}, mode=mode)
    upright = Image.fromarray(np.random.default_rng(2).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    results = []
    for orientation, turn in STORED_AS.items():
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        file = io.BytesIO()
        (upright if turn is None else upright.transpose(turn)).save(file, "PNG", exif=exif)
        prepared, frame = made.prepare(load_image(io.BytesIO(file.getvalue())))
        regions = made.regions(frame)
        assert prepared.shape == (128, 128, 3)
        assert len(regions) == made.positions
        assert (regions.width, regions.height) == (90, 60)
        results.append((made(prepared.unsqueeze(0)).values, regions))
    first_values, first_regions = results[0]
    for values_found, regions in results[1:]:
        assert torch.equal(values_found, first_values)
        assert regions == first_regions


def test_prepared_pictures_stack_into_a_batch() -> None:
    made = encoder(mode="letterbox")
    photos = [load_image(np.full((h, w, 3), 90, dtype=np.uint8)) for h, w in ((10, 300), (77, 33), (64, 64))]
    batch = torch.stack([made.prepare(photo)[0] for photo in photos])
    assert batch.dtype == torch.uint8
    assert len(made(batch)) == 3


def test_local_weights_are_loaded(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    torch.save(network("resnet18").state_dict(), file)
    made = ImageEncoder(ImageEncoderSettings(name="resnet18", size=40, weights=str(file)))
    picture = pixels(1, 40)
    expected = network("resnet18").run(made.network.normalise(picture), until="layer4")
    assert torch.equal(made(picture).values, expected.permute(0, 2, 3, 1).flatten(1, 2))
    with pytest.raises(WeightsError, match="another network"):
        ImageEncoder(ImageEncoderSettings(name="resnet34", size=40, weights=str(file)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "resnet19"}, r"name: there is no network 'resnet19'.*did you mean 'resnet1?"),
        ({"size": 31}, "size: input should be greater than or equal to 32"),
        ({"mode": "stretch"}, "mode: input should be 'squash', 'crop' or 'letterbox'"),
        ({"form": "tiles"}, "form 'tiles' needs it"),
        ({"tiles": 3}, "'tiles' belongs to form 'tiles'"),
        ({"form": "tiles", "tiles": 0}, "tiles: input should be greater"),
        ({"form": "tiles", "tiles": 2, "pool": 2}, "'pool' belongs to form 'grid'"),
        ({"tile": 3}, "tile is unknown, did you mean 'tiles'"),
    ],
)
def test_settings_that_cannot_be_meant(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(ImageEncoderSettings, values, origin="test")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer": "layer9"}, "resnet18 has no layer 'layer9'"),
        ({"train_from": "conv1"}, "resnet18 has no layer 'conv1'; allowed: stem, "),
        (
            {"layer": "layer2", "train_from": "head"},
            "allowed: stem, layer1, layer2; the annotations are read from 'layer2'",
        ),
        ({"pool": 3}, "pool 3 exceeds the grid of 2 × 2 at layer 'layer4'"),
    ],
)
def test_layers_that_are_not_there(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(**values)
