"""Which of the shipped models is meant where none is named."""

DEFAULT_CAPTIONER = "everyday"
"""The captioner of ``regard caption``, ``demo`` and ``serve``, and what training on captioned photos begins from."""
