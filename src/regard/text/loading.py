"""The tokenizer of a saved model, of whatever kind."""

from __future__ import annotations

import os
from pathlib import Path

from regard.errors import ModelError
from regard.files import read_json_file
from regard.registry import Registry
from regard.text.tokenizer import Tokenizer

FILES = ("vocabulary.json", "tokenizer.json")
"""What a folder holds, one of them."""
TOKENIZERS: Registry[type[Tokenizer]] = Registry(
    "tokenizer",
    {
        "words": "regard.text.word_tokenizer:WordTokenizer",
        "characters": "regard.text.word_tokenizer:CharacterTokenizer",
        "subwords": "regard.text.subwords:SubwordTokenizer",
    },
)
"""The tokenizers by the ``kind`` in their files."""


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer that was saved in ``folder``, of whatever kind.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    for file in FILES:
        if os.path.lexists(folder / file):
            kind = read_json_file(folder / file, versions=[1]).get("kind")
            if isinstance(kind, str) and kind in TOKENIZERS and TOKENIZERS[kind].file_name == file:
                return TOKENIZERS[kind].load(folder)
    kinds = ", ".join(TOKENIZERS)
    raise ModelError(
        f"{folder}: holds no tokenizer that is known here", allowed=f"{' or '.join(FILES)} of one of the kinds {kinds}"
    )
