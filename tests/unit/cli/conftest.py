"""Two models too small to say anything sensible, saved as models are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from regard.decoders.attend import AttendSettings
from regard.encoders.image import ImageEncoderSettings
from regard.encoders.recurrent import RecurrentSettings
from regard.model import EncoderDecoder, ModelSettings
from regard.saved.bundle import Bundle, save_bundle
from regard.search import SearchOptions
from regard.text import WordTokenizer

DECODER = AttendSettings(embedding=8, hidden=8, attention=8)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of saved models: the captioner ``looker`` and the translator ``speaker``."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(3)
    tokenizer = WordTokenizer.train(
        ["a red cat sits on a small mat", "two dogs run over the wet grass"], minimum_count=1
    )
    search = SearchOptions(beam=3, max_length=6)
    picture = ModelSettings(
        encoder=ImageEncoderSettings(weights=None, size=64, layer="stage3"),
        decoder=DECODER,
    )
    captioner = EncoderDecoder(picture, vocabulary_size=tokenizer.size).eval()
    metrics = {"data": "red squares", "bleu4": 12.34, "cider": 56.78, "signature": "none"}
    save_bundle(Bundle(captioner, tokenizer, search, metrics=metrics), folder / "looker")
    sentence = ModelSettings(encoder=RecurrentSettings(embedding=8, hidden=8), decoder=DECODER)
    translator = EncoderDecoder(sentence, vocabulary_size=tokenizer.size, source_vocabulary_size=tokenizer.size).eval()
    save_bundle(Bundle(translator, tokenizer, search, languages=("en", "de")), folder / "speaker")
    return folder


@pytest.fixture
def page_data() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads what a page's script draws from: of each result the words, looks and links."""

    def read(path: Path) -> list[dict[str, Any]]:
        found = re.findall(r'<script type="application/json">(.*?)</script>', path.read_text(encoding="utf-8"))
        return [json.loads(each) for each in found]

    return read


@pytest.fixture
def only_shipped(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, in the place of the models that ship with the package."""
    monkeypatch.setattr("regard.saved.bundle.SHIPPED", shipped)
    return shipped


@pytest.fixture(autouse=True)
def _no_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, standard error has what commands say and nothing of how far they are."""
    monkeypatch.setattr("regard.cli.progress.SECONDS_BETWEEN_LINES", math.inf)
