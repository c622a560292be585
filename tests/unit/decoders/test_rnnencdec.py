from __future__ import annotations

import pytest
import torch

from regard.annotations import Annotations
from regard.decoders import build_decoder
from regard.decoders.rnnencdec import RnnEncDecDecoder, RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchDecoder, RnnSearchSettings
from regard.errors import ConfigError

DIM, VOCABULARY = 10, 17
SIZES = {"hidden": 7, "embedding": 5, "readout": 3}


def _build() -> RnnEncDecDecoder:
    torch.manual_seed(0)
    decoder = build_decoder(RnnEncDecSettings(**SIZES), dim=DIM, vocabulary_size=VOCABULARY, backward_dim=4)
    assert isinstance(decoder, RnnEncDecDecoder)
    return decoder.eval()


def test_it_does_not_attend() -> None:
    decoder = _build()
    mask = torch.tensor([[True, True, True], [True, True, False]])
    annotations = Annotations(torch.randn(2, 3, DIM), mask, torch.randn(2, DIM))
    tokens = torch.randint(VOCABULARY, (2, 1, 4))
    logits, weights = decoder(annotations, tokens)
    assert not decoder.attends
    assert weights[:, 0, 0].tolist() == [pytest.approx([1 / 3] * 3), pytest.approx([0.5, 0.5, 0])]
    others = Annotations(torch.randn(2, 3, DIM), mask, annotations.summary)
    torch.testing.assert_close(decoder(others, tokens)[0], logits)


def test_without_a_summary_the_mean_stands_in() -> None:
    decoder, values = _build(), torch.randn(2, 3, DIM)
    tokens = torch.randint(VOCABULARY, (2, 1, 4))
    mean = Annotations(torch.randn(2, 3, DIM), None, values.mean(1))
    torch.testing.assert_close(decoder(Annotations(values), tokens)[0], decoder(mean, tokens)[0])


def test_it_equals_rnnsearch_on_a_sentence_of_one_position() -> None:
    """With one annotation, which is then the context of every step, the two are one model."""
    decoder = _build()
    search = RnnSearchDecoder(RnnSearchSettings(**SIZES), dim=DIM, vocabulary_size=VOCABULARY).eval()
    search.load_state_dict(decoder.state_dict(), strict=False)
    vector, tokens = torch.randn(2, DIM), torch.randint(VOCABULARY, (2, 3, 4))
    annotations = Annotations(vector.unsqueeze(1), None, vector)
    torch.testing.assert_close(decoder(annotations, tokens)[0], search(annotations, tokens)[0], atol=1e-6, rtol=0)


def test_tied_sizes_are_checked() -> None:
    with pytest.raises(ConfigError, match="readout 3 and embedding 5"):
        build_decoder(RnnEncDecSettings(**SIZES, tied=True), dim=DIM, vocabulary_size=VOCABULARY)
