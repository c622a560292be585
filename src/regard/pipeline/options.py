"""How a caller changes a model's own way of searching for one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from regard.config import parse
from regard.errors import ConfigError, unknown_name
from regard.search import SearchOptions

USUAL_ALTERNATIVES = 3
"""How many alternatives are given by default, where the beam holds so many."""

_OF_BOTH = ("max_length", "min_length", "length_normalisation", "no_repeat", "no_end_after")
"""The options of a model's beam that hold for samples, too."""

MOST_ROWS = 4096
"""How many hypotheses of all inputs together are held at a time: 130 MB of scores over 8,000 words."""


class SearchChanges(TypedDict, total=False):
    """The options of :class:`regard.search.SearchOptions` by name; those left out are the model's own."""

    beam: int
    max_length: int
    min_length: int
    length_normalisation: float
    no_repeat: int | None
    no_end_after: list[str]
    groups: int
    diversity: float
    samples: int | None
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int


def search_changes(values: Mapping[str, Any]) -> SearchChanges:
    """Options by name, as a user typed them; their values are checked where they are used.

    Raises:
        ConfigError: a name is no option of the search.
    """
    for name in values:
        if name not in SearchChanges.__annotations__:
            raise unknown_name("option of the search", name, SearchChanges.__annotations__)
    return cast("SearchChanges", values)


def fitting_batch(batch: int, options: SearchOptions) -> int:
    """How many inputs are searched for together: ``batch``, or fewer where a wide beam would fill the memory."""
    return max(1, min(batch, MOST_ROWS // (options.samples or options.beam)))


def changed_options(own: SearchOptions, changes: SearchChanges, *, alternatives: int | None = None) -> SearchOptions:
    """The options of one call.

    Args:
        own: the model's.
        changes: what the caller wants otherwise. With ``samples``, the options of the model's beam do not apply.
        alternatives: how many texts are wanted beside the best; None for the usual number, or all other samples.

    Raises:
        ConfigError: an option is unknown or out of range, or options contradict each other.
    """
    values = own.model_dump(exclude={"alternatives"})
    if changes.get("samples") is not None:
        values = {name: values[name] for name in _OF_BOTH}
    options = parse(SearchOptions, {**values, **changes}, origin="the options of this call")
    if options.samples is not None:
        if alternatives is not None:
            raise ConfigError("alternatives has no effect with samples", remedy="every sample is given")
        return options
    others = min(USUAL_ALTERNATIVES, options.beam - 1) if alternatives is None else alternatives
    if not 0 <= others < options.beam:
        raise ConfigError(
            f"{others} alternatives beside the best of a beam of {options.beam}",
            allowed=f"0 to {options.beam - 1}",
            remedy="raise beam",
        )
    return options.model_copy(update={"alternatives": others + 1})
