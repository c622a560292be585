"""A GRU made ready reads as the encoder does, whatever the lengths and the order of the sentences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.encoders.recurrent import RecurrentEncoder, RecurrentSettings
from regard.fast.encoders.text import PreparedGru, twin

VOCABULARY = 30
LENGTHS = (3, 9, 1, 9, 5)


def built(**settings: object) -> RecurrentEncoder:
    torch.manual_seed(0)
    values = {"embedding": 7, "hidden": 5, "dropout": 0.3, "embedding_dropout": 0.3, **settings}
    encoder = RecurrentEncoder(RecurrentSettings.model_validate(values), vocabulary_size=VOCABULARY).eval()
    for parameter in encoder.requires_grad_(False).parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    return encoder


def sentences(padding: int = 0) -> tuple[Tensor, Tensor]:
    """Of 3, 9, 1, 9 and 5 tokens, with rubbish behind their ends."""
    time = max(LENGTHS) + padding
    tokens = torch.randint(0, VOCABULARY, (len(LENGTHS), time), generator=torch.Generator().manual_seed(1))
    return tokens, torch.arange(time) < torch.tensor(LENGTHS).unsqueeze(1)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_it_equals_the_encoder(bidirectional: bool, padding: int, dtype: torch.dtype, tolerance: float) -> None:
    encoder = built(bidirectional=bidirectional).to(dtype)
    tokens, mask = sentences(padding)
    with torch.inference_mode():
        for given in ((tokens, mask), (tokens, None), (tokens[2:3], mask[2:3]), (tokens[:, :1], None)):
            expected, found = encoder(*given), PreparedGru(encoder, precision="float32")(*given)
            torch.testing.assert_close(found.values, expected.values, atol=tolerance, rtol=tolerance)
            torch.testing.assert_close(found.summary, expected.summary, atol=tolerance, rtol=tolerance)
            assert found.mask is given[1]
            if found.mask is not None:
                assert not found.values[~found.mask].any()


def test_rounded_it_is_near() -> None:
    encoder = built()
    with torch.inference_mode():
        expected, found = encoder(*sentences()), PreparedGru(encoder, precision="bfloat16")(*sentences())
    assert found.values.dtype == torch.float32
    assert 0 < (found.values - expected.values).abs().max() < 0.05
    assert 0 < (found.summary - expected.summary).abs().max() < 0.05


def test_it_takes_what_it_can_read() -> None:
    assert twin(built(), "float32") is not None
    assert twin(built(cell="lstm"), "float32") is None
    assert twin(built(layers=2), "float32") is None
    assert twin(built().to("meta"), "float32") is None
