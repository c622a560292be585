"""Models as ONNX graphs: written with :func:`export_onnx`, run by the same search with :func:`load_onnx`."""

from __future__ import annotations

from regard.saved.onnx.folder import default_place, export_onnx, load_onnx, needs_export

__all__ = ["default_place", "export_onnx", "load_onnx", "needs_export"]
