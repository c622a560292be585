"""Encoders prepared for inference."""
