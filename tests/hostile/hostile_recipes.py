"""Hostile recipes: values of the wrong kind, of absurd size, dates, tags, bombs and keys that stand twice."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import yaml
from outcome import Outcomes, chance_of, try_apart, try_here

from regard.training.recipe import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
BOMB = "\n".join(["l0: &l0 [x]", *(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 20))])
LITERALS = (
    *("", "~", "true", "-1", "0", "1e9", "1e400", ".nan", "-.inf", "0x" + "f" * 3000, "9" * 5000, "1:99:99", "0o9"),
    *("2026-11-27", "2026-13-45", "!!python/object/apply:os.system [ls]", "!!binary aGk=", "!!set {a, b}", "!thing x"),
    *(
        "!!bool maybe",
        "!!timestamp x",
        "!!int ''",
        "[]",
        "{}",
        "[1, 2, 3]",
        "{a: 1, a: 2}",
        "'é'",
        "*nothing",
        "&a [*a]",
    ),
    *("[" * 500, "{" * 500, "x" * 50_000, "*l19", "|\n  many\n  lines", '"\\ud800"', '"\\u202e"', "'\x07'", "../../x"),
)


def attack_recipes(numbers: range, outcomes: Outcomes) -> None:
    """Recipes that ship, with one to three values replaced."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(RECIPES.rglob("*.yaml"))]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "recipe.yaml"
        for number in numbers:
            chance = chance_of("recipes", number)
            text, what = _changed(chance.choice(texts), chance)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            attempt = try_apart if number % 50 == 0 else try_here
            attempt(lambda: read_recipe(path), f"{number} {what}", outcomes)


def _changed(text: str, chance: random.Random) -> tuple[str, str]:
    """A recipe with values replaced by literals, which dumping YAML would not write."""
    values = yaml.safe_load(text)
    replaced: dict[str, str] = {}
    what = []
    for place in range(chance.randint(1, 3)):
        key, literal = _put(values, f"MARK{place}MARK", chance), chance.choice(LITERALS)
        replaced[f"MARK{place}MARK"] = literal
        what.append(f"{key} = {literal:.30}")
    dumped = yaml.safe_dump(values, sort_keys=False)
    for mark, literal in replaced.items():
        dumped = dumped.replace(mark, literal)
    if any("*l19" in literal for literal in replaced.values()):
        dumped = f"{BOMB}\n{dumped}"
    if chance.random() < 0.05:
        lines = dumped.splitlines()
        dumped = "\n".join([*lines, chance.choice(lines)])
        what.append("a line twice")
    return dumped, "; ".join(what)


def _put(values: Any, mark: str, chance: random.Random) -> Any:
    """Put a mark in the place of a value somewhere, or of a whole group; returns its key."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        key = chance.choice(keys)
        if not isinstance(values[key], dict | list) or not values[key] or chance.random() < 0.3:
            values[key] = mark
            return key
        values = values[key]
