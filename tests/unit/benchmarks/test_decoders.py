"""The peers that are written here do the same work: with the same weights they give the same numbers as ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plain import PlainAttend, Rows
from regard.annotations import Annotations
from regard.data.batching import assemble_captions
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.fast import for_training
from regard.search import SearchOptions, SpecialTokens, search
from regard.training.losses import real_tokens
from textbook import EOS, TextbookDecoder, search_one

DIM, HIDDEN, VOCABULARY, REGIONS = 7, 10, 23, 6


def ours(*, ends: float = 0.0) -> AttendDecoder:
    torch.manual_seed(3)
    settings = AttendSettings(embedding=HIDDEN, hidden=HIDDEN, attention=HIDDEN)
    decoder = AttendDecoder(settings, dim=DIM, vocabulary_size=VOCABULARY).eval()
    with torch.no_grad():
        decoder.E.weight *= 3
        decoder.L_o.bias[EOS] = ends
    return decoder


class Uncached:
    """Plain PyTorch as the textbook's search asks for it: a row for each copy of the image."""

    def __init__(self, decoder: PlainAttend) -> None:
        self.decoder = decoder

    def begin(self, annotations: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.decoder.begin(annotations, rows=1)
        return rows.h.squeeze(1), rows.c.squeeze(1)

    def advance(self, annotations: Tensor, words: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keys, embedded = self.decoder.W_a(annotations), self.decoder.E(words).unsqueeze(1)
        rows, z = self.decoder.advance(annotations, keys, embedded, Rows(h.unsqueeze(1), c.unsqueeze(1)))
        logits = self.decoder.L_o(self.decoder.readout(embedded, rows.h, z))
        return logits.squeeze(1), rows.h.squeeze(1), rows.c.squeeze(1)


def test_plain_pytorch_gives_our_logits_and_gradients() -> None:
    decoder = ours()
    plain = PlainAttend.copy_of(decoder, dim=DIM).eval()
    batch = assemble_captions([[[4, 9, 22, 5], [7]], [[6, 8], [11, 4, 4]], [[5], [5, 6, 7, 8, 9]]])
    real = real_tokens(batch.lengths, batch.tokens.shape[2])
    values = torch.randn(3, REGIONS, DIM)
    looked, plainly = (values.clone().requires_grad_() for _ in range(2))

    trace = for_training(decoder).trace(Annotations(looked), batch.tokens, batch.lengths)
    expected = decoder.logits(trace.readouts[real])
    found = plain(plainly, batch.tokens, real)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

    for logits in (expected, found):
        torch.nn.functional.cross_entropy(logits, batch.targets[real]).backward()
    torch.testing.assert_close(plainly.grad, looked.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("beam", "ends", "least"), [(1, 0.0, 0), (3, 0.0, 0), (4, 2.0, 0), (5, 4.0, 3), (4, -50.0, 0)])
def test_three_searches_find_the_same_captions(beam: int, ends: float, least: int) -> None:
    decoder = ours(ends=ends)
    plain = PlainAttend.copy_of(decoder, dim=DIM).eval()
    values = 2 * torch.randn(9, REGIONS, DIM, generator=torch.Generator().manual_seed(1))
    options = SearchOptions(beam=beam, max_length=8, min_length=least, length_normalisation=0.0)
    expected = [
        list(found[0].tokens) for found in search(decoder, Annotations(values), options, tokens=SpecialTokens())
    ]
    assert len({tuple(caption) for caption in expected}) > 1
    assert plain.search(values, beam=beam, most=8, least=least) == expected
    one_by_one = [search_one(Uncached(plain), image, beam=beam, most=8, least=least) for image in values]
    assert one_by_one == expected


def test_captions_of_the_comparison_have_as_many_words_as_it_says() -> None:
    plain = PlainAttend.copy_of(ours(ends=3.0), dim=DIM).eval()
    values = torch.randn(4, REGIONS, DIM)
    assert {len(caption) for caption in plain.search(values, beam=3, most=5, least=5)} == {5}
    assert len(search_one(Uncached(plain), values[0], beam=3, most=5, least=5)) == 5


def test_the_textbook_trains_on_what_it_decodes() -> None:
    torch.manual_seed(0)
    decoder = TextbookDecoder(dim=DIM, hidden=HIDDEN, vocabulary=VOCABULARY, dropout=0.0)
    annotations, tokens = torch.randn(3, REGIONS, DIM), torch.tensor([[1, 5, 6, 7], [1, 8, 9, 0], [1, 4, 0, 0]])
    lengths = torch.tensor([4, 3, 2])
    logits = decoder(annotations, tokens, lengths)
    h, c = decoder.begin(annotations)
    for t in range(4):
        stepped, h, c = decoder.advance(annotations, tokens[:, t], h, c)
        writing = lengths > t
        torch.testing.assert_close(logits[writing, t], stepped[writing], rtol=1e-5, atol=1e-6)
