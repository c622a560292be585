"""From a saved model to results: :func:`load` gives a captioner or a translator."""

from __future__ import annotations

import os

import torch

from regard.bundle import find_bundle, load_bundle
from regard.errors import ConfigError
from regard.pipeline.captioner import Captioner
from regard.pipeline.options import SearchChanges

__all__ = ["Captioner", "SearchChanges", "load"]


def load(name_or_path: str | os.PathLike[str], *, threads: int | None = None, device: str = "cpu") -> Captioner:
    """Load a model.

    Args:
        name_or_path: the name of a model that ships with the package, such as ``flickr8k``; or the folder of a saved
            model or of a training run.
        threads: how many processor threads torch may use, in this whole process; None leaves that as it is.
        device: where the model computes, such as ``cuda``.

    Raises:
        ModelError: there is no such model, or it is damaged.
        ConfigError: ``threads`` or ``device`` cannot be used.
    """
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"{threads} threads", allowed="1 or more")
        torch.set_num_threads(threads)
    return Captioner(load_bundle(find_bundle(name_or_path)), device=device)
