"""On which device a model computes, by the name that a user gives it."""

from __future__ import annotations

import torch

from regard.errors import ConfigError

AUTO = "auto"
"""Stands for the GPU where there is one, and for the processor elsewhere."""


def resolve_device(name: str) -> torch.device:
    """The device called ``name``: ``cpu``, ``cuda``, ``cuda:1``, ``auto`` …

    Raises:
        ConfigError: there is no such device here.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        usable = device.type == "cpu" or bool(torch.get_device_module(device).is_available())
    except (RuntimeError, AttributeError, TypeError):
        # what torch raises for a name that it does not know or that is no text, and for devices that cannot compute
        usable = False
    if not usable:
        raise ConfigError(
            f"device {name!r} is not available here", allowed="cpu, auto, or cuda on a machine that has it"
        )
    return device
