"""The encoder of pictures: one annotation per region.

Regions come in two forms. ``grid``: the picture goes through the network once, and each cell of the chosen layer's
output is a region (Xu et al. 2015, §3.1.1). ``tiles``: the picture is cut into n × n equal parts, each part goes
through the network by itself, and the mean over its output is the region's vector.

Layers before ``train_from`` are frozen. Their part of the work, the trunk, depends on the picture alone and can be
kept; the layers behind it, the tail, are what training repeats.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from regard.annotations import Annotations, Regions
from regard.config import PartSettings
from regard.data.images import Photo
from regard.data.resizing import Frame, ResizeMode, resize
from regard.encoders import NETWORKS, build_network
from regard.encoders.concepts import ConceptFinder, class_probabilities, forgotten
from regard.encoders.network import PRETRAINED, SMALLEST_INPUT, ConvNet
from regard.errors import ConfigError, unknown_name
from regard.progress import SILENT, Progress

LARGEST_PICTURE = 4096
"""The largest side in pixels of what is looked at; cut into tiles or not."""


class ImageEncoderSettings(PartSettings):
    """Settings of the network that encodes pictures, and of which layers of it are trained."""

    name: str = "efficientnet_lite0"
    """A name in :data:`regard.encoders.NETWORKS`."""
    layer: str | None = None
    """The layer whose output is the annotation grid; None takes the network's default."""
    size: int = Field(224, ge=SMALLEST_INPUT, le=2048)
    """Height and width in pixels of what goes through the network: the picture in form ``grid``, else one tile."""
    inference_size: int | None = Field(None, ge=SMALLEST_INPUT, le=2048)
    """The ``size`` of the model that a run saves; None for the same as in training. Crops show things larger in
    training than whole photos do, and larger photos undo that (Touvron et al. 2019, "Fixing the train-test resolution
    discrepancy"). Validation during the run is at ``size``."""
    mode: ResizeMode = "squash"
    """How a picture is brought to a square."""
    form: Literal["grid", "tiles"] = "grid"
    """Regions are the cells of one pass, or the parts of the picture, each with a pass of its own."""
    tiles: int | None = Field(None, ge=1, le=32)
    """How many tiles a side has; given with form ``tiles`` and only there."""
    pool: int | None = Field(None, ge=1, le=128)
    """Average the grid down to this many rows and columns; only in form ``grid``."""
    weights: str | None = PRETRAINED
    """``pretrained`` for the published weights, or a .pth or .safetensors file; None for fresh random weights."""
    train_from: str | None = None
    """The first layer that learns; None freezes the whole network."""
    concepts: int = Field(0, ge=0, le=50)
    """How many words for what the network's classifier sees enter as annotations beside the grid; needs a network whose
    classifier is the mean over ``layer`` and one linear map. See :mod:`regard.encoders.concepts`."""
    folded: bool = False
    """Fold the batch norms into the convolutions: the same function with fewer numbers and less work. Layers that learn
    then learn without batch norms."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in NETWORKS:
            raise PydanticCustomError("unknown_network", "{problem}", {"problem": str(_unknown_network(name))})
        return name

    @model_validator(mode="after")
    def _agree(self) -> ImageEncoderSettings:
        if (self.form == "tiles") != (self.tiles is not None):
            raise PydanticCustomError("tiles", "'tiles' belongs to form 'tiles', and form 'tiles' needs it")
        size = max(self.size, self.inference_size or 0)
        if (self.tiles or 1) * size > LARGEST_PICTURE:
            problem = f"a picture of {self.tiles} tiles of {size} pixels a side is too large, at most {LARGEST_PICTURE}"
            raise PydanticCustomError("tiles", "{problem}", {"problem": problem})
        if self.form == "tiles" and self.pool is not None:
            raise PydanticCustomError("pool", "'pool' belongs to form 'grid'; a tile is averaged as a whole")
        if self.concepts and (self.form == "tiles" or self.pool is not None):
            raise PydanticCustomError("concepts", "'concepts' belong to form 'grid' without 'pool'")
        return self


def _unknown_network(name: str) -> ConfigError:
    return unknown_name("network", name, NETWORKS)


class ImageEncoder(nn.Module):
    """Pictures to annotations.

    The network stays in evaluation mode whatever :meth:`train` says: batch norms keep the statistics that they were
    trained with, in the trunk and in the tail. Only the layers from ``train_from`` on have parameters that learn.

    Args:
        settings: see :class:`ImageEncoderSettings`.
        progress: receives the progress of a download of weights.

    Attributes:
        dim: size of one annotation.
        grid_shape: rows and columns of the regions.
        positions: number of regions, rows × columns.
        picture_size: height and width in pixels of a prepared picture.
        trunk_shape: shape of the trunk's output for one picture.

    Raises:
        ConfigError: a layer is unknown or in the wrong order, or ``pool`` exceeds the grid.
        WeightsError: the weights cannot be had.
    """

    settings_class = ImageEncoderSettings

    def __init__(self, settings: ImageEncoderSettings, *, progress: Progress = SILENT) -> None:
        super().__init__()
        self.settings = settings
        self.network = _network(settings, progress)
        self.layer = settings.layer or self.network.default_layer
        self._finder = ConceptFinder(settings.concepts) if settings.concepts else None
        self._teacher: tuple[ConvNet, ...] = ()
        if self._finder is None:
            self.network.truncate(self.layer)
        else:
            self._check_classifier()
        self.frozen = settings.train_from is None
        self._boundary = self._last_frozen()
        self._tiles = settings.tiles or 1
        self.picture_size = settings.size * self._tiles
        self.grid_shape = self._grid_shape()
        self.positions = self.grid_shape[0] * self.grid_shape[1]
        self.dim = self.network.channels(self.layer)
        self.trunk_shape = self._trunk_shape()
        self._freeze()

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.network.get_buffer("pixel_scale").device

    def prepare(self, photo: Photo) -> tuple[Tensor, Frame]:
        """Resize a photo: its pixels, uint8 [H, W, 3], as :meth:`forward` takes a batch of them, and where they lie.

        ``tiles`` resizes the picture as a whole to n times a tile and cuts afterwards.
        """
        pixels, frame = resize(photo, self.picture_size, self.settings.mode)
        return torch.from_numpy(pixels), frame

    def regions(self, frame: Frame) -> Regions:
        """Where each annotation lies in the original photo."""
        return frame.regions(*self.grid_shape)

    def forward(self, pixels: Tensor) -> Annotations:
        """Annotations of a batch of prepared pictures, uint8 [batch, H, W, 3]: values [batch, rows · columns, dim]."""
        return self.tail(self.trunk(pixels))

    @torch.no_grad()
    def trunk(self, pixels: Tensor) -> Tensor:
        """The frozen part of the work, without gradients.

        Args:
            pixels: uint8 [batch, H, W, 3].

        Returns:
            [batch, *trunk_shape]: finished annotations [batch, rows · columns, dim] where the whole network is frozen;
            else the output of the last frozen layer, [batch, channels, rows, columns], or, in form ``tiles``,
            [batch, tile, channels, rows, columns].
        """
        x = self.network.normalise(self._cut(pixels))
        if self.frozen:
            return self._annotate(self.network.run(x, until=self.layer))
        if self._boundary is not None:
            x = self.network.run(x, until=self._boundary)
        return x.reshape(-1, *self.trunk_shape)

    def tail(self, features: Tensor, *, layers: Callable[[Tensor], Tensor] | None = None) -> Annotations:
        """The rest of the work: the trunk's output, float32 [batch, *trunk_shape], to annotations.

        ``layers`` may stand in for :meth:`run_learning`.
        """
        if self.frozen:
            return self._named(features, None)
        x = features if self.settings.form == "grid" else features.flatten(0, 1)
        x = x.contiguous(memory_format=torch.channels_last)
        values = self._annotate((layers or self.run_learning)(x))
        return self._named(values, self._taught(x))

    def run_learning(self, x: Tensor) -> Tensor:
        """The layers that learn: from the last frozen layer's output, or a normalised picture, to the annotations'."""
        return self.network.run(x, after=self._boundary, until=self.layer)

    def learning_modules(self) -> list[nn.Module]:
        """The modules that :meth:`run_learning` is made of."""
        layers = self.network.layers[len(self._trunk_layers()) :]
        return [module for layer in layers for module in self.network.layer_modules(layer)]

    def train(self, mode: bool = True) -> ImageEncoder:
        """Set the mode of this module; the network itself stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    def teach(self) -> None:
        """Let the network as it is now be the teacher of what it learns from here on: in training, concepts say how
        much of its classes is forgotten."""
        assert self._finder is not None, "classes are kept for the concepts that they name"
        self._teacher = (self.network.fused(),)

    def fused(self) -> ImageEncoder:
        """A copy for inference with batch norms folded into the convolutions; equal within rounding, and faster."""
        return self.with_network(self.network.fused())

    def with_network(self, network: ConvNet) -> ImageEncoder:
        """A copy for inference with another network of the same function."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "network": network}
        twin._teacher = ()
        return twin

    def _named(self, features: Tensor, taught: Tensor | None) -> Annotations:
        """Annotations of features [batch, position, dim], with their concepts where these are asked for."""
        if self._finder is None:
            return Annotations(values=features)
        classifier = self._classifier()
        concepts = self._finder(features, classifier)
        if taught is not None:
            concepts = replace(concepts, forgotten=forgotten(features, classifier, taught))
        return Annotations(values=features, concepts=concepts)

    @torch.no_grad()
    def _taught(self, x: Tensor) -> Tensor | None:
        """The teacher's class probabilities [batch, classes] for the tail's input; None outside of training."""
        if not (self._teacher and self.training and self._classifier().weight.requires_grad):
            return None
        (teacher,) = self._teacher
        if teacher.get_buffer("pixel_scale").device != x.device:
            teacher.to(x.device)
        features = self._annotate(teacher.run(x, after=self._boundary, until=self.layer))
        classifier = teacher.linear_classifier()
        assert classifier is not None, "the teacher is the network as it was"
        return class_probabilities(features, classifier)

    def _classifier(self) -> nn.Linear:
        classifier = self.network.linear_classifier()
        assert classifier is not None, "checked when the encoder was made"
        return classifier

    def _check_classifier(self) -> None:
        last = self.network.layers[-1]
        if self.network.linear_classifier() is None or self.layer != last:
            raise ConfigError(
                f"concepts need a network whose classifier reads the annotations; {self.network.name} at layer "
                f"{self.layer!r} is none",
                allowed=f"resnet or efficientnet_lite at its last layer, here {last!r}",
            )

    def trunk_fingerprint(self) -> str:
        """32 hexadecimal digits that change with whatever the trunk's numbers depend on besides the picture."""
        settings = self.settings.model_dump(mode="json", exclude={"weights", "concepts", "inference_size"})
        digest = hashlib.sha256(repr([settings, self.layer]).encode())
        for layer in self._trunk_layers():
            for module in self.network.layer_modules(layer):
                for name, tensor in module.state_dict().items():
                    digest.update(name.encode())
                    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def _cut(self, pixels: Tensor) -> Tensor:
        """Pictures [batch, n · size, n · size, 3] to tiles [batch · n · n, size, size, 3], row by row."""
        side = self.picture_size
        assert pixels.shape[1:3] == (side, side), f"prepared pictures are {side} × {side}, not {tuple(pixels.shape)}"
        if self.settings.form == "grid":
            return pixels
        size, tiles = self.settings.size, self._tiles
        batch = pixels.shape[0]
        return pixels.view(batch, tiles, size, tiles, size, 3).transpose(2, 3).reshape(-1, size, size, 3)

    def _annotate(self, features: Tensor) -> Tensor:
        """A layer's output [batch, channels, rows, columns] to vectors [batch, position, channels]."""
        features = features.float() if features.dtype == torch.bfloat16 else features
        if self.settings.form == "tiles":
            return features.mean(dim=(2, 3)).view(-1, self.positions, self.dim)
        if self.settings.pool is not None:
            features = F.adaptive_avg_pool2d(features, self.settings.pool)
        # With channels last in memory, as the network leaves them, this is a view.
        return features.permute(0, 2, 3, 1).flatten(1, 2)

    def _last_frozen(self) -> str | None:
        """The layer that the trunk ends with; None where all layers learn."""
        train_from = self.settings.train_from
        if train_from is None:
            return self.layer
        if train_from not in self.network.layers:
            remedy = f"the annotations are read from {self.layer!r}"
            raise unknown_name("layer", train_from, self.network.layers, owner=self.network.name, remedy=remedy)
        first = self.network.index(train_from)
        return None if first == 0 else self.network.layers[first - 1]

    def _trunk_layers(self) -> tuple[str, ...]:
        return () if self._boundary is None else self.network.layers[: self.network.index(self._boundary) + 1]

    def _grid_shape(self) -> tuple[int, int]:
        if self.settings.form == "tiles":
            return (self._tiles, self._tiles)
        side = self.network.positions(self.layer, self.settings.size)
        pool = self.settings.pool
        if pool is not None and pool > side:
            given = f"pool {pool} exceeds the grid of {side} × {side} at layer {self.layer!r}"
            raise ConfigError(given, remedy="choose a larger size or an earlier layer")
        return (pool or side, pool or side)

    def _trunk_shape(self) -> tuple[int, ...]:
        if self.frozen:
            return (self.positions, self.dim)
        size = self.settings.size
        if self._boundary is None:
            shape = (3, size, size)
        else:
            side = self.network.positions(self._boundary, size)
            shape = (self.network.channels(self._boundary), side, side)
        return shape if self.settings.form == "grid" else (self._tiles**2, *shape)

    def _freeze(self) -> None:
        self.network.requires_grad_(False)
        for layer in self.network.layers[len(self._trunk_layers()) :]:
            for module in self.network.layer_modules(layer):
                module.requires_grad_(True)
        if self._finder is not None and not self.frozen:
            self._classifier().requires_grad_(True)


def _network(settings: ImageEncoderSettings, progress: Progress) -> ConvNet:
    if settings.weights is None:
        network = build_network(settings.name)
    else:
        from regard.encoders.pretrained import load_network

        network = load_network(settings.name, weights=settings.weights, progress=progress)
    return network.fused() if settings.folded else network
