"""What self-critical training rewards."""

from __future__ import annotations

import pytest
import torch

from regard.errors import ConfigError
from regard.metrics import CiderD
from regard.metrics.bleu import BleuReferences
from regard.text.vocabulary import EOS
from regard.training.batched_rewards import BatchedRewards
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


def test_rewards_of_a_batch_equal_those_of_one_sample_after_the_other() -> None:
    generator = torch.Generator().manual_seed(3)
    vocabulary_size, settings = 9, SelfCritical(cider=0.7, bleu=0.4)

    def draw(longest: int) -> list[int]:
        length = int(torch.randint(1, longest, (1,), generator=generator))
        return torch.randint(4, vocabulary_size, (length,), generator=generator).tolist()

    references = [[draw(9) for _ in range(1 + number % 3)] for number in range(12)]
    inputs = [5, 0, 11, 5, 2]
    samples = torch.randint(4, vocabulary_size, (5, 4, 7), generator=generator)
    lengths = torch.randint(1, 8, (5, 4), generator=generator)
    # one that is a reference, one of a single word, one of the end alone
    best = [*references[5][0], EOS][:7]
    samples[0, 0, : len(best)], lengths[0, 0] = torch.tensor(best), len(best)
    samples[1, 0, 0], lengths[1, 0], lengths[1, 1] = EOS, 1, 1
    batched = BatchedRewards(references, settings, vocabulary_size=vocabulary_size, device=torch.device("cpu"))
    expected = Rewards(references, settings).judge(inputs, samples, lengths)
    assert expected.max() > 1
    torch.testing.assert_close(batched.judge(inputs, samples, lengths), expected, atol=1e-6, rtol=1e-6)
