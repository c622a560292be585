"""Compiled CPU operations."""
