"""Every number of every setting has bounds, and the page of settings says them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

import regard
from regard.cli.settings_reference import reference, settings_classes
from regard.config import Settings, parse
from regard.errors import ConfigError, shown
from regard.saved.bundle import BundleConfig
from regard.search import SearchOptions
from regard.serve.settings import ServeSettings
from regard.training.recipe import OptimSettings, Recipe

CLASSES = list(
    dict.fromkeys([*settings_classes(Recipe), *settings_classes(BundleConfig), *settings_classes(ServeSettings)])
)
NUMBERS = [
    (kind, name)
    for kind in CLASSES
    for name, field in kind.model_fields.items()
    if {int, float} & ({field.annotation} | {part for part in get_args(field.annotation) if isinstance(part, type)})
]


def all_settings(kind: type[Settings] = Settings) -> set[type[Settings]]:
    found = {each for sub in kind.__subclasses__() for each in all_settings(sub)}
    return {each for each in {kind, *found} if each.__module__.startswith("regard.")}


def test_all_settings_are_walked() -> None:
    bases = {base for kind in CLASSES for base in kind.__mro__}
    assert {each.__name__ for each in all_settings() - set(CLASSES) - bases} == set()


@pytest.mark.parametrize(("kind", "name"), NUMBERS, ids=[f"{kind.__name__}.{name}" for kind, name in NUMBERS])
def test_a_number_has_a_lower_and_an_upper_bound(kind: type[Settings], name: str) -> None:
    bounds = {type(each).__name__ for each in kind.model_fields[name].metadata}
    assert bounds & {"Ge", "Gt"}
    assert bounds & {"Le", "Lt"}


IMPOSSIBLE = [float("nan"), float("inf"), 10**400, -1, "x" * 10_000, [[]] * 9, None]


@pytest.mark.parametrize("value", IMPOSSIBLE, ids=lambda value: repr(value)[:9])
def test_an_impossible_number_is_one_short_error(value: Any) -> None:
    for kind, name in ((SearchOptions, "beam"), (OptimSettings, "lr"), (OptimSettings, "weight_decay")):
        with pytest.raises(ConfigError, match=f"^here: {name}") as caught:
            parse(kind, {name: value}, origin="here")
        assert len(str(caught.value)) < 400


def test_a_value_is_shown_in_little_time_however_large_it_is() -> None:
    bomb: list[Any] = ["x"]
    for _ in range(50):
        bomb = [bomb] * 10
    assert shown(bomb) == "[[…, …, …, …], […, …, …, …], […, …, …, …], …]"
    assert shown({"a": bomb, "b": 1}) == "{'a': […, …, …, …], 'b': 1}"
    assert shown(1 << 100_000) == "a number of 100,001 bits"
    assert shown("x" * 10**7) == repr("x" * 80)
    assert shown([]) == "[]"


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    page = Path(regard.__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == reference(), "make docs writes it anew"
