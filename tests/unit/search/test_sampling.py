import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.search.sampling import filter_top, sample_index

NEVER = float("-inf")


def test_sampling_inverts_the_distribution():
    probabilities = torch.tensor([0.1, 0.0, 0.4, 0.0, 0.5, 0.0], dtype=torch.float64)
    uniform = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:-1]
    drawn = sample_index(probabilities.log().expand(len(uniform), -1), uniform)
    shares = torch.bincount(drawn, minlength=6) / len(uniform)
    assert torch.allclose(shares.double(), probabilities, atol=2e-4)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_the_edges_never_give_an_impossible_index(uniform):
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(500, 37, generator=generator) * 5
    scores[torch.rand(500, 37, generator=generator) < 0.7] = NEVER
    scores[:, 11] = 0.0
    drawn = sample_index(scores, torch.full((500,), uniform))
    assert scores.gather(1, drawn.unsqueeze(1)).isfinite().all()


def test_where_nothing_is_possible_the_index_is_within_the_vocabulary():
    assert sample_index(torch.full((2, 3), NEVER), torch.tensor([0.2, 0.9])).tolist() == [2, 2]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-6, 6, width=16), min_size=1, max_size=9),
    top_k=st.none() | st.integers(1, 10),
    top_p=st.none() | st.floats(0.01, 1.0),
)
def test_filter_top_equals_its_definition(values, top_k, top_p):
    scores = torch.tensor([values], dtype=torch.float64)
    kept = filter_top(scores, top_k=top_k, top_p=top_p)[0]
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))[:top_k]
    weights = [math.exp(values[i]) for i in order]
    nucleus, reached = [], 0.0
    for i, weight in zip(order, weights, strict=True):
        if top_p is not None and reached / sum(weights) >= top_p - 1e-12:
            break
        nucleus.append(i)
        reached += weight
    support = kept.isfinite().nonzero().squeeze(1).tolist()
    assert support == sorted(nucleus) or math.isclose(reached / sum(weights), top_p or 0, abs_tol=1e-9)
    assert torch.equal(kept[support], scores[0, support])
