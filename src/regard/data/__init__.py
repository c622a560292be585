"""Data sets, images, batches, and caches of encoder features."""
