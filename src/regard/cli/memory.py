"""How PyTorch, oneDNN and Pillow hold memory: environment variables that they read when they first need them."""

from __future__ import annotations

import os

from regard.errors import ConfigError

FEW_PRIMITIVES = {"LRU_CACHE_CAPACITY": "64", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}
"""How many ready-made products are kept. Each is for one number of rows, and rows become fewer with every word: with
the usual 1,024 a training comes to hold a gigabyte of them, and is no faster for it."""

LARGE_BLOCKS = {"PILLOW_BLOCK_SIZE": "64m"}
"""The blocks in which Pillow holds a photo. The C library keeps those of the usual 16 MB when they are freed, and gives
those above 32 MB back: 20 photos of 50 megapixels in two threads left 530 MB behind, and leave 150."""

LARGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
"""Large tensors lie on large pages where the system has them. Without it a step of training asks for 25,000 small ones
and takes a tenth longer; what only searches gains nothing."""


def hold_memory(*, training: bool = False) -> None:
    """Set what the user has not set; call before torch and Pillow are imported.

    Raises:
        ConfigError: the user has set a number of products to something else, of which oneDNN would die.
    """
    for name in FEW_PRIMITIVES:
        value = os.environ.get(name, "0")
        if not (value.isascii() and value.isdigit()):
            given = f"the environment variable {name} is {value!r}"
            raise ConfigError(given, allowed="a whole number", remedy="unset it")
    for name, value in (FEW_PRIMITIVES | LARGE_BLOCKS | (LARGE_PAGES if training else {})).items():
        os.environ.setdefault(name, value)
