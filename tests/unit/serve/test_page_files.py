"""What the page is made of: strings in every language, constants of the views, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import regard
from regard.results import SURE
from regard.serve.problems import CODES
from regard.serve.settings import Limits
from regard.views.colour import ramp
from regard.views.heat_map import FULL_HEAT, RING, SIGMA, VEIL

PAGE = Path(regard.__file__).parent / "serve" / "page"
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in [*PAGE.glob("*.js"), PAGE / "index.html"]}
LANGUAGES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (PAGE / "languages").glob("*.json")}
BUILT = ("error.", "place.", "sureness.", "view.")
"""Beginnings of keys that scripts put together."""


def used_keys() -> set[str]:
    attributes = re.findall(r'data-t(?:-label|-placeholder)?="([^"]+)"', SOURCES["index.html"])
    calls = [key for text in SOURCES.values() for key in re.findall(r"\"((?:[a-z]+\.)[a-z-]+)\"", text)]
    plain = [key for text in SOURCES.values() for key in re.findall(r'\bt\("([a-z-]+)"', text)]
    return {*attributes, *plain, *(key for key in calls if key in LANGUAGES["en"])}


def test_every_string_stands_in_every_language() -> None:
    assert set(LANGUAGES) == {"en", "ko"}
    for language, strings in LANGUAGES.items():
        assert list(strings) == sorted(LANGUAGES["en"]), language
        assert all(strings.values()), language


def test_strings_in_all_languages_have_the_same_places_for_values() -> None:
    for key, text in LANGUAGES["en"].items():
        places = set(re.findall(r"\{\w+\}", text))
        assert all(set(re.findall(r"\{\w+\}", strings[key])) == places for strings in LANGUAGES.values()), key


def test_every_string_is_used_and_every_used_string_is_there() -> None:
    used = used_keys()
    assert not used - set(LANGUAGES["en"])
    assert not {key for key in LANGUAGES["en"] if not key.startswith(BUILT)} - used
    called = {key for text in SOURCES.values() for key in re.findall(r'\bt\("([a-z.-]+)"', text)}
    assert not called - set(LANGUAGES["en"])


def test_errors_that_readers_meet_are_said_in_their_language() -> None:
    spoken = {key.removeprefix("error.") for key in LANGUAGES["en"] if key.startswith("error.")}
    assert spoken - {"unreachable"} <= set(CODES)
    assert {"busy", "image_unreadable", "too_large", "unsupported_type", "process_ended", "timed_out"} <= spoken


def test_heat_maps_are_drawn_as_the_views_draw_them() -> None:
    text = SOURCES["drawing.js"]
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in ramp("ember", 33).tolist()]
    assert re.findall(r'"(#[0-9a-f]{6})"', text) == colours
    numbers = dict(re.findall(r"export const (\w+) = ([^;]+);", text))
    assert float(numbers["SIGMA"]) == SIGMA
    assert float(numbers["RING"]) == RING
    assert float(numbers["FULL_HEAT"]) == FULL_HEAT
    assert tuple(json.loads(numbers["VEIL"])) == VEIL


@pytest.mark.parametrize("path", sorted(PAGE.rglob("*.*")), ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere_and_nothing_is_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "").replace("http%3A//www.w3.org/", "")
    text = text.replace("xmlns='http://www.w3.org/2000/svg'", "")
    assert "http://" not in text
    assert "https://" not in text
    assert "innerHTML" not in text
    assert "insertAdjacentHTML" not in text
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text)


def test_the_page_about_the_service_names_every_code_and_every_limit() -> None:
    text = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")
    for code, (status, _) in CODES.items():
        assert f"| `{code}` | {status} |" in text
    for name, field in Limits.model_fields.items():
        shown = f"{field.default:g}" if isinstance(field.default, float) else f"{field.default:,}"
        assert f"| `{name}` | {shown} |" in text


def test_a_caption_is_doubted_where_the_library_doubts_it() -> None:
    found = re.search(r"CONFIDENT = ([0-9./ ]+);", SOURCES["result.js"])
    assert found
    above, _, below = found[1].partition("/")
    assert float(above) / float(below or 1) == SURE
