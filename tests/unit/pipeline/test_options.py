"""What a caller may change in a model's own search."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from regard.errors import ConfigError
from regard.pipeline.options import SearchChanges, changed_options, fitting_batch, search_changes
from regard.search import SearchOptions

OWN = SearchOptions(beam=4, max_length=9, length_normalisation=0.3, groups=2)


def test_every_option_of_a_search_can_be_changed() -> None:
    hints = get_type_hints(SearchChanges)
    fields = SearchOptions.model_fields
    assert set(hints) | {"alternatives"} == set(fields)
    assert all(fields[name].annotation == hint for name, hint in hints.items())


def test_what_is_not_changed_is_the_models_own() -> None:
    options = changed_options(OWN, {"max_length": 5})
    assert options == SearchOptions(beam=4, max_length=5, length_normalisation=0.3, groups=2, alternatives=4)


@pytest.mark.parametrize(
    ("beam", "alternatives", "returned"), [(1, None, 1), (2, None, 2), (8, None, 4), (8, 0, 1), (8, 7, 8)]
)
def test_alternatives_are_counted_beside_the_best(beam: int, alternatives: int | None, returned: int) -> None:
    options = changed_options(SearchOptions(), {"beam": beam}, alternatives=alternatives)
    assert options.alternatives == returned


def test_samples_leave_the_beam_of_the_model_aside() -> None:
    options = changed_options(OWN, {"samples": 6, "temperature": 0.5})
    assert options == SearchOptions(samples=6, temperature=0.5, max_length=9, length_normalisation=0.3)


@pytest.mark.parametrize(
    ("changes", "alternatives", "problem"),
    [
        ({"beem": 3}, None, "beem is unknown, did you mean 'beam'"),
        ({"beam": "3"}, None, "beam: input should be a valid integer"),
        ({"beam": 0}, None, "beam"),
        ({"beam": 3}, None, "cannot be split into 2 equal groups"),
        ({"beam": 2}, 2, "2 alternatives beside the best of a beam of 2; allowed: 0 to 1; raise beam"),
        ({}, -1, "-1 alternatives"),
        ({"samples": 2}, 1, "alternatives has no effect with samples"),
        ({"samples": 2, "beam": 3}, None, "beam has no effect here"),
        ({"top_k": 2}, None, "top_k has no effect here"),
    ],
)
def test_what_cannot_be_is_one_line(changes: Any, alternatives: int | None, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        changed_options(OWN, changes, alternatives=alternatives)


def test_only_options_of_the_search_can_be_set_by_name() -> None:
    assert search_changes({"beam": 3, "no_repeat": 2}) == {"beam": 3, "no_repeat": 2}
    with pytest.raises(
        ConfigError, match=r"there is no option of the search 'beem'; allowed: beam.*did you mean 'beam'"
    ):
        search_changes({"beem": 3})
    # these have parameters of their own, and would otherwise be given twice
    for name in ("alternatives", "prefix", "batch"):
        with pytest.raises(ConfigError, match=f"there is no option of the search '{name}'"):
            search_changes({name: 1})


def test_a_wide_beam_is_searched_for_fewer_inputs_together() -> None:
    assert fitting_batch(64, SearchOptions(beam=5)) == 64
    assert fitting_batch(128, SearchOptions(beam=256)) == 16
    assert fitting_batch(128, SearchOptions(samples=1000)) == 4
    assert fitting_batch(1, SearchOptions(beam=256)) == 1
