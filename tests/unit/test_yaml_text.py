"""YAML becomes plain data of bounded size, or one error in little time."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from regard.errors import ConfigError
from regard.yaml_text import parse_yaml

LEVELS = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 20))
MERGES = "\n".join(f"m{i}: &m{i}\n  <<: [{', '.join([f'*m{i - 1}'] * 9)}]" for i in range(1, 20))
BOMBS = {
    "aliases": f"l0: &l0 [x]\n{LEVELS}",
    "aliases under a known key": f"name: *l19\n{LEVELS}",
    "merges": f"m0: &m0 {{x: 1}}\n{MERGES}",
    "an alias inside of what it names": "a: &a [*a]",
    "brackets": "a: " + "[" * 60_000,
    "dashes": "- " * 30_000,
    "questions": "? " * 30_000,
    "much": "x" * 100_000,
    "many": "[" + "x," * 30_000 + "]",
}
ODD = {
    "a date": "a: 2026-11-27",
    "no date": "a: 2026-13-45",
    "a long number": "a: " + "9" * 5000,
    "a tag of Python": "a: !!python/object/apply:os.system [ls]",
    "bytes": "a: !!binary aGVsbG8=",
    "a set": "a: !!set {b}",
    "pairs": "a: !!omap [b: c]",
    "no truth value": "a: !!bool maybe",
    "no time": "a: !!timestamp x",
    "no number": "a: !!int ''",
    "an unknown tag": "a: !thing x",
    "a list as a key": "? [a]\n: b",
    "a key twice": "a: 1\nb: 2\na: 3",
    "a key twice, deep": "a: {b: [{c: 1, c: 2}]}",
    "a merge of text": "a: {<<: b}",
    "a control character": "a: \x07",
    "two documents": "a: 1\n---\nb: 2",
    "an unknown alias": "a: *b",
    "a tabulator": "a:\n\t- b",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_in_little_time_and_memory(text: str) -> None:
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, origin="r.yaml")
    taken, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(caught.value)) < 500
    assert peak < 200e6
    assert taken < 10  # far more than the second that it may take without tracing, far less than for ever


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_what_is_no_plain_data_is_one_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^r\.yaml: ") as caught:
        parse_yaml(text, origin="r.yaml")
    assert len(str(caught.value)) < 500


def test_aliases_and_merges_of_reasonable_size_are_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\nd: 010\n"
    a = {"x": 1, "y": 2}
    assert parse_yaml(text, origin="r.yaml") == {"a": a, "b": {"x": 1, "y": 3}, "c": [a, a], "d": 8}
