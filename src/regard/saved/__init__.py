"""Saved models: bundles, storage formats, ONNX graphs."""

DEFAULT_CAPTIONER = "everyday"
"""The captioner of ``regard caption``, ``demo`` and ``serve``, and what training on captioned photos begins from."""
