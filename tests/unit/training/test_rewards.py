"""What self-critical training rewards."""

from __future__ import annotations

import pytest

from regard.errors import ConfigError
from regard.metrics import CiderD
from regard.metrics.bleu import BleuReferences
from regard.text.vocabulary import EOS
from regard.training.recipe import SelfCritical
from regard.training.rewards import Rewards

REFERENCES = [[[7, 8, 9, 10, 11]], [[7, 12, 13], [12, 13, 14, 15]], [[20, 21, 22]]]


def test_rewards_are_the_weighted_sum_of_both_scores() -> None:
    rewards = Rewards(REFERENCES, SelfCritical(cider=0.5, bleu=2.0))
    said = [7, 12, 13, 14, EOS]
    ended = [[[*sequence, EOS] for sequence in each] for each in REFERENCES]
    cider = CiderD.from_references(ended)
    expected = 0.5 * cider.score(said, cider.reference_vectors(ended[1]))
    expected += 2.0 * BleuReferences(ended[1]).sentence_bleu(said)
    assert rewards(1, said) == pytest.approx(expected, rel=1e-12)


def test_the_reference_itself_is_the_best_that_can_be_said() -> None:
    rewards = Rewards(REFERENCES, SelfCritical(cider=0.0, bleu=1.0))
    assert rewards(0, [7, 8, 9, 10, 11, EOS]) == pytest.approx(1.0)


def test_stopping_in_the_middle_is_worth_less_than_ending() -> None:
    rewards = Rewards(REFERENCES, SelfCritical(cider=0.0, bleu=1.0))
    assert rewards(2, [20, 21, 22, EOS]) > rewards(2, [20, 21, 22])


def test_a_reward_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="rewards nothing"):
        SelfCritical(cider=0.0, bleu=0.0)
