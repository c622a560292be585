"""Readers of captioned photos, one file a format."""
