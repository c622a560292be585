"""Whether a folder holds an exported model, found without importing what runs graphs."""

from __future__ import annotations

from pathlib import Path

from regard.files import resolve_folder

ENCODER_FILE, STEP_FILE = "encoder.onnx", "decoder.onnx"


def is_exported(folder: Path) -> bool:
    """Whether an exported model lies there."""
    return (resolve_folder(folder) / STEP_FILE).is_file()
