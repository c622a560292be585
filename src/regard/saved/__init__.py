"""Saved models: bundles, storage formats, ONNX graphs."""
