import pytest

from regard.config import parse
from regard.errors import ConfigError
from regard.search import SearchOptions, SpecialTokens


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_length": 5, "max_length": 4}, "min_length 5 is more than max_length 4"),
        ({"alternatives": 4, "beam": 3}, "4 alternatives from a beam of 3"),
        ({"beam": 5, "groups": 2}, "5 cannot be split into 2"),
        ({"samples": 3, "beam": 4}, "beam has no effect"),
        ({"samples": 3, "groups": 5}, "groups has no effect"),
        ({"temperature": 0.5}, "temperature has no effect"),
        ({"top_k": 5}, "top_k has no effect"),
        ({"top_p": 0.5}, "top_p has no effect"),
        ({"seed": 1}, "seed has no effect"),
    ],
)
def test_contradictions_are_refused_by_either_way_in(values, words):
    with pytest.raises(ConfigError, match=words):
        SearchOptions(**values)
    with pytest.raises(ConfigError, match=words):
        parse(SearchOptions, values, origin="recipe")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beam", 0),
        ("beam", 2.5),
        ("max_length", 0),
        ("min_length", -1),
        ("length_normalisation", -0.1),
        ("no_repeat", 0),
        ("samples", 0),
        ("temperature", 0),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.5),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(ConfigError, match=f"recipe: {name}"):
        parse(SearchOptions, {name: value}, origin="recipe")


def test_options_survive_being_written_and_read():
    for options in (SearchOptions(beam=4, groups=2), SearchOptions(samples=2, top_p=0.9, seed=7)):
        assert parse(SearchOptions, options.model_dump(), origin="file") == options


def test_a_sentence_can_always_end():
    with pytest.raises(AssertionError, match="able to end"):
        SpecialTokens(bos=1, eos=2, forbidden=(0, 2))
