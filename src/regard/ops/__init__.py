"""Tensor operations of the fast paths, each with a plain definition that a test compares it with."""
