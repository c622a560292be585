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

from outcome import Outcomes, chance_of, try_apart
from PIL import Image

from regard.config import parse
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Captioner, Translator
from regard.saved.bundle import Bundle, load_bundle, save_bundle
from regard.search import SearchOptions
from regard.text import SubwordTokenizer, Tokenizer, WordTokenizer

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


def attack_models(numbers: range, outcomes: Outcomes) -> None:
    """Damaged copies of small models; nine in ten of them where checksums are not compared."""
    with tempfile.TemporaryDirectory() as name:
        models = save_models(Path(name))
        for each in models:
            _use(each)  # what is loaded at first is loaded before the fork
        for number in numbers:
            chance = chance_of("models", number)
            copy = Path(name) / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(chance.choice(models), copy)
            os.environ["REGARD_VERIFY"] = str(int(chance.random() < 0.1))
            what = chance.choice(DAMAGES)(copy, chance)
            try_apart(lambda copy=copy: _use(copy), f"{number} {what}", outcomes)
        os.environ.pop("REGARD_VERIFY", None)


def _use(folder: Path) -> None:
    bundle = load_bundle(folder)
    if bundle.kind == "captioner":
        Captioner(bundle).caption(Image.new("RGB", (50, 40), (9, 99, 199)))
    else:
        Translator(bundle).translate("A dog sits.")


def save_models(folder: Path) -> list[Path]:
    """Small captioners and translators with random weights, one with each decoder."""
    return [
        save(folder / f"{decoder['name']}-{kind}", decoder)
        for decoder in DECODERS
        for kind, save in (("captioner", save_captioner), ("translator", save_translator))
    ]


def save_captioner(folder: Path, decoder: dict[str, Any] = DECODERS[0]) -> Path:
    """A small captioner with random weights."""
    encoder = {"name": "efficientnet_lite0", "layer": "stage1", "size": 32, "pool": 3, "weights": None}
    return _save(folder, encoder, decoder, WordTokenizer.train(TEXTS))


def save_translator(folder: Path, decoder: dict[str, Any] = DECODERS[0]) -> Path:
    """A small translator with random weights."""
    encoder = {"name": "recurrent", "embedding": 8, "hidden": 6}
    return _save(folder, encoder, decoder, SubwordTokenizer.train(TEXTS, size=300), languages=("en", "de"))


def _save(
    folder: Path,
    encoder: dict[str, Any],
    decoder: dict[str, Any],
    tokenizer: Tokenizer,
    *,
    languages: tuple[str, str] | None = None,
) -> Path:
    values = {"encoder": encoder, "bridge": {"dim": 8}, "decoder": decoder}
    settings = parse(ModelSettings, values, origin="a small model")
    reads = 0 if languages is None else tokenizer.size
    model = EncoderDecoder(settings, vocabulary_size=tokenizer.size, source_vocabulary_size=reads)
    search = SearchOptions(beam=2, max_length=6)
    return save_bundle(Bundle(model=model.eval(), tokenizer=tokenizer, search=search, languages=languages), folder)


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


def _change_header(folder: Path, chance: random.Random) -> str:
    """What a file of weights says that it holds: other names, types, shapes and places."""
    path = folder / "weights.safetensors"
    header, weights = _read_weights(path)
    name = chance.choice([*header])
    entry = header[name]
    part = chance.choice(("dtype", "shape", "data_offsets", "name", "entry"))
    if part == "name":
        header[chance.choice(("", "x", name + ".scale", "__metadata__", *header))] = header.pop(name)
    elif part == "entry":
        header[name] = chance.choice(VALUES)
    elif part == "dtype":
        entry["dtype"] = chance.choice(("F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "I8", "U8", "BOOL", "X", 3))
    else:
        entry[part] = chance.choice((*VALUES, [*entry[part], 1], entry[part][::-1], [0], [-1], [2**63], [2**32, 2**32]))
    _write_weights(path, header, weights)
    return f"{name} of another {part}"


def _change_numbers(folder: Path, chance: random.Random) -> str:
    """Weights that are no numbers, infinite, huge or all the same."""
    path = folder / "weights.safetensors"
    header, weights = _read_weights(path)
    name = chance.choice([each for each in header if each != "__metadata__"])
    first, last = header[name]["data_offsets"]
    last = first + 2 if chance.random() < 0.5 else last
    half = chance.choice((b"\x00\x7e", b"\x00\x7c", b"\x00\xfc", b"\xff\x7b", b"\x00\x00", b"\x01\x00"))
    filled = (half * (last - first))[: last - first]
    _write_weights(path, header, weights[:first] + filled + weights[last:])
    return f"{name} holds {half!r}"


def _read_weights(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the numbers of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _write_weights(path: Path, header: dict[str, Any], weights: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + weights)


def _rewrite_text(folder: Path, chance: random.Random) -> str:
    """JSON that no writer of JSON writes: keys twice, endless numbers, nests, other encodings."""
    path = chance.choice(sorted(folder.glob("*.json")))
    text = path.read_text(encoding="utf-8")
    texts = {
        "keys twice": text.replace("{", '{"version": 1, "kind": "translator", ', 1),
        "a number of 100,000 digits": text.replace("1", "1" * 100_000, 1),
        "a deep nest": text.replace("1", "[" * 100_000 + "]" * 100_000, 1),
        "numbers as no JSON has them": text.replace("1", chance.choice(("NaN", "-Infinity", "1e999")), 1),
        "a mark of byte order": "\ufeff" + text,
        "comments": "// comment\n" + text,
        "nothing else than null": "null",
        "a list": f"[{text}]",
        "halves of pairs": text.replace('"', '"\\ud800', 1),
        "blanks": " " * 10**7 + text,
    }
    kind = chance.choice([*texts])
    encoding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-32"))
    path.write_text(texts[kind], encoding=encoding)
    return f"{path.name} is {kind} in {encoding}"


DAMAGES = (
    *(_change_value, _change_value, _change_value, _change_bytes, _cut, _replace, _swap),
    *(_change_header, _change_header, _change_numbers, _rewrite_text),
)
