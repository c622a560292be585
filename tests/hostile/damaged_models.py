"""Damaged and hostile models: small ones of both kinds, with changed values, bits, lengths and kinds of files."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from outcome import Outcomes, run_apart
from PIL import Image

from regard.config import parse
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Captioner, Translator
from regard.saved.bundle import Bundle, load_bundle, save_bundle
from regard.search import SearchOptions
from regard.text import SubwordTokenizer, WordTokenizer

TEXTS = ["A dog runs on the beach.", "Two cats sit on a mat.", "Some people jump over a log."]
DECODERS: tuple[dict[str, Any], ...] = (
    {"name": "attend", "embedding": 8, "hidden": 8, "attention": 8},
    {"name": "luong", "embedding": 8, "hidden": 8, "tied": False},
    {"name": "transformer", "dim": 8, "heads": 2, "layers": 2, "feed_forward": 16},
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 10**9, 10**30, 1e308, 0.5, -0.0, "", "x", "../x", "\ud800", "é" * 5000),
    *([], [1], [[]], {}, {"name": "attend"}, {"a": {"b": {}}}, [0] * 1000, float("nan"), float("inf")),
)


def attack_models(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """``count`` damaged copies of small models; half of them where checksums are not compared."""
    with tempfile.TemporaryDirectory() as name:
        models = _models(Path(name))
        for each in models:
            _use(each)  # what is loaded at first is loaded before the fork
        for number in range(count):
            copy = Path(name) / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(chance.choice(models), copy)
            os.environ["REGARD_VERIFY"] = str(int(chance.random() < 0.1))
            what = chance.choice(DAMAGES)(copy, chance)
            run_apart(lambda copy=copy: _use(copy), f"{number} {what}", outcomes)
        os.environ.pop("REGARD_VERIFY", None)


def _use(folder: Path) -> None:
    bundle = load_bundle(folder)
    if bundle.kind == "captioner":
        Captioner(bundle).caption(Image.new("RGB", (50, 40), (9, 99, 199)))
    else:
        Translator(bundle).translate("A dog sits.")


def _models(folder: Path) -> list[Path]:
    words, pieces = WordTokenizer.train(TEXTS), SubwordTokenizer.train(TEXTS, size=300)
    picture = {"name": "efficientnet_lite0", "layer": "stage3", "size": 64, "pool": 3, "weights": None}
    saved = []
    for decoder in DECODERS:
        for encoder in (picture, {"name": "recurrent", "embedding": 8, "hidden": 6}):
            reads = encoder["name"] == "recurrent"
            tokenizer = pieces if reads else words
            values = {"encoder": encoder, "bridge": {"dim": 8}, "decoder": decoder}
            settings = parse(ModelSettings, values, origin="a small model")
            model = EncoderDecoder(
                settings, vocabulary_size=tokenizer.size, source_vocabulary_size=tokenizer.size * reads
            )
            bundle = Bundle(
                model=model.eval(),
                tokenizer=tokenizer,
                search=SearchOptions(beam=2, max_length=6),
                languages=("en", "de") if reads else None,
            )
            saved.append(save_bundle(bundle, folder / f"{decoder['name']}-{encoder['name']}"))
    return saved


def _change_value(folder: Path, chance: random.Random) -> str:
    """One value of a JSON file becomes another."""
    path = chance.choice([folder / "config.json"] * 4 + sorted(folder.glob("*.json")))
    values = json.loads(path.read_text(encoding="utf-8"))
    groups = list(_groups(values))
    group = chance.choice(groups)
    key = chance.choice(list(group) if isinstance(group, dict) else range(len(group)))
    value = chance.choice([*VALUES, 10 ** chance.randrange(12), chance.random() * 10 ** chance.randrange(9)])
    if chance.random() < 0.15 and isinstance(group, dict):
        del group[key]
    else:
        group[key] = value
    path.write_text(json.dumps(values), encoding="utf-8")
    return f"{path.name} {key} = {value!r:.40}"


def _groups(value: Any) -> list[Any]:
    """All mappings and lists in a value that hold something."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if len(parts) else []) + [group for part in list(parts)[:50] for group in _groups(part)]


def _change_bytes(folder: Path, chance: random.Random) -> str:
    path = chance.choice([each for each in sorted(folder.iterdir()) if each.stat().st_size])
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(chance.choice((min(len(data), 300), len(data))))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return f"{path.name} bits"


def _cut(folder: Path, chance: random.Random) -> str:
    path = chance.choice([each for each in sorted(folder.iterdir()) if each.stat().st_size])
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.7 else data + data[:50])
    return f"{path.name} of another length"


def _replace(folder: Path, chance: random.Random) -> str:
    """A file of another kind in the place of one."""
    path = chance.choice(sorted(folder.iterdir()))
    path.unlink()
    kinds: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "a pipe": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "an endless device": lambda: path.symlink_to("/dev/zero"),
        "a link to itself": lambda: path.symlink_to(path),
        "a hole of 9 GB": lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 9 * 2**30),
    }
    kind = chance.choice([*kinds])
    kinds[kind]()
    return f"{path.name} is {kind}"


def _swap(folder: Path, chance: random.Random) -> str:
    """Two files in each other's place."""
    one, other = chance.sample(sorted(folder.iterdir()), 2)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    return f"{one.name} and {other.name} swapped"


DAMAGES = (_change_value, _change_value, _change_value, _change_bytes, _cut, _replace, _swap)
