"""The tokenizer of a saved model, of whatever kind."""

from __future__ import annotations

import os
from pathlib import Path

from regard.errors import ModelError
from regard.files import read_json_file
from regard.registry import Registry
from regard.text.tokenizer import TextCodec

FILES = ("vocabulary.json", "tokenizer.json")
"""What a folder holds, one of them."""
CODECS: Registry[type[TextCodec]] = Registry(
    "tokenizer",
    {
        "words": "regard.text.word_tokenizer:WordCodec",
        "characters": "regard.text.word_tokenizer:CharacterCodec",
        "subwords": "regard.text.subwords:SubwordCodec",
    },
)
"""The tokenizers by the ``kind`` in their files."""


def load_codec(folder: Path) -> TextCodec:
    """The codec that was saved in ``folder``, of whatever kind.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    for file in FILES:
        if os.path.lexists(folder / file):
            kind = read_json_file(folder / file, versions=[1]).get("kind")
            if isinstance(kind, str) and kind in CODECS and CODECS[kind].file_name == file:
                return CODECS[kind].load(folder)
    kinds = ", ".join(CODECS)
    raise ModelError(
        f"{folder}: holds no codec that is known here", allowed=f"{' or '.join(FILES)} of one of the kinds {kinds}"
    )
