import numpy as np
import pytest

from regard.errors import ConfigError
from regard.evidence.faithfulness import deletion


def _weights() -> np.ndarray:
    weights = np.full((5, 6), 0.01)
    weights[1, 2] = weights[3, 4] = 1
    return weights / weights.sum()


def test_a_word_that_depends_on_what_it_looked_at_has_a_margin() -> None:
    weights = _weights()
    result = deletion(lambda removed: float(weights[~removed].sum()), weights, share=2 / 30)
    assert result.removed == 2
    assert result.probability == pytest.approx(1)
    assert result.without_looked == pytest.approx(28 * weights.min())
    assert result.margin > 0.5


def test_a_word_that_depends_on_something_else_has_none() -> None:
    result = deletion(lambda removed: 0.0 if removed[0, 0] else 0.8, _weights(), share=2 / 30)
    assert result.without_looked == 0.8
    assert result.margin <= 0


def test_the_random_choice_depends_on_the_seed_alone() -> None:
    def probability(removed: np.ndarray) -> float:
        return float((~removed * np.arange(30).reshape(5, 6)).sum())

    first = deletion(probability, _weights(), seed=3)
    assert deletion(probability, _weights(), seed=3) == first
    assert deletion(probability, _weights(), seed=4) != first


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_some_regions_go_and_some_stay(share) -> None:
    counts: list[int] = []
    deletion(lambda removed: float(counts.append(int(removed.sum())) or 0), _weights(), share=share)
    assert counts[0] == 0
    assert all(1 <= count <= 29 for count in counts[1:])


@pytest.mark.parametrize(("share", "trials"), [(0, 8), (1, 8), (-1, 8), (0.2, 0)])
def test_settings_out_of_range_are_refused(share, trials) -> None:
    with pytest.raises(ConfigError, match="allowed"):
        deletion(lambda removed: 1.0, _weights(), share=share, trials=trials)


def test_a_single_region_cannot_be_tested() -> None:
    with pytest.raises(ConfigError, match="single region"):
        deletion(lambda removed: 1.0, np.ones((1, 1)))
