from __future__ import annotations

import pytest
import torch

from regard.annotations import Annotations
from regard.config import parse
from regard.decoders import build_decoder
from regard.decoders.rnnsearch import RnnSearchDecoder, RnnSearchSettings
from regard.errors import ConfigError

DIM, BACKWARD, VOCABULARY = 10, 4, 17
N, M, L, INNER = 7, 5, 3, 11


def _build(*, backward_dim: int = BACKWARD, **options: object) -> RnnSearchDecoder:
    torch.manual_seed(0)
    values = {"hidden": N, "embedding": M, "readout": L, "attention": INNER, **options}
    settings = parse(RnnSearchSettings, values, origin="test")
    decoder = build_decoder(settings, dim=DIM, vocabulary_size=VOCABULARY, backward_dim=backward_dim)
    assert isinstance(decoder, RnnSearchDecoder)
    return decoder.eval()


def _annotations(*, summary: bool = True) -> Annotations:
    torch.manual_seed(1)
    return Annotations(torch.randn(2, 6, DIM), None, torch.randn(2, DIM) if summary else None)


def test_every_matrix_has_the_papers_name_and_shape() -> None:
    decoder = _build()
    shapes = {
        **dict.fromkeys(("W", "W_z", "W_r"), (N, M)),
        **dict.fromkeys(("U", "U_z", "U_r"), (N, N)),
        **dict.fromkeys(("C", "C_z", "C_r"), (N, DIM)),
        "W_a": (INNER, N),
        "U_a": (INNER, DIM),
        "v_a": (INNER,),
        "W_s": (N, BACKWARD),
        "U_o": (2 * L, N),
        "V_o": (2 * L, M),
        "C_o": (2 * L, DIM),
        "W_o": (VOCABULARY, L),
    }
    assert {name: tuple(getattr(decoder, name).shape) for name in shapes} == shapes
    # E is all that the appendix has besides
    assert len(list(decoder.parameters())) == len(shapes) + 1


def test_other_scores_have_no_matrices_of_the_additive_one() -> None:
    decoder = _build(score="general")
    with pytest.raises(AssertionError, match="belong to the additive score"):
        _ = decoder.W_a


def test_recurrent_matrices_start_orthogonal() -> None:
    decoder = _build()
    for matrix in (decoder.U, decoder.U_z, decoder.U_r):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(N))


def test_the_start_reads_the_backward_half_alone() -> None:
    decoder, annotations = _build(), _annotations()
    assert annotations.summary is not None
    expected = torch.tanh(annotations.summary[:, -BACKWARD:] @ decoder.W_s.T).unsqueeze(1)
    torch.testing.assert_close(decoder.start(annotations, rows=3).rows["s"], expected.expand(-1, 3, -1))


def test_the_start_on_a_picture_reads_the_mean() -> None:
    decoder, annotations = _build(backward_dim=0), _annotations(summary=False)
    expected = torch.tanh(annotations.values.mean(1) @ decoder.W_s.T).unsqueeze(1)
    torch.testing.assert_close(decoder.start(annotations).rows["s"], expected)


def test_a_backward_half_without_a_summary_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="gives its last states as summary"):
        _build().start(_annotations(summary=False))


def test_biases_are_added_to_every_sum() -> None:
    plain, biased = _build(), _build(biases=True)
    names = {"b", "b_z", "b_r", "b_s", "b_t", "b_o"}
    assert {name for name, _ in biased.named_parameters()} - {name for name, _ in plain.named_parameters()} == names
    biased.load_state_dict(plain.state_dict(), strict=False)
    tokens = torch.randint(VOCABULARY, (2, 1, 4))
    torch.testing.assert_close(biased(_annotations(), tokens), plain(_annotations(), tokens))
    for name in names:
        with torch.no_grad():
            biased.get_parameter(name).fill_(0.3)
        assert not torch.allclose(biased(_annotations(), tokens)[0], plain(_annotations(), tokens)[0], atol=1e-3)
        with torch.no_grad():
            biased.get_parameter(name).zero_()


def test_tied_matrices_are_one() -> None:
    decoder = _build(embedding=6, readout=6, tied=True)
    assert decoder.W_o is decoder.E.weight
    with pytest.raises(ConfigError, match="tied matrices with readout 3 and embedding 5; allowed: equal sizes"):
        _build(tied=True)


def test_dropout_acts_in_training_alone() -> None:
    decoder = _build(dropout=0.5, embedding_dropout=0.5)
    annotations, tokens = _annotations(), torch.randint(VOCABULARY, (2, 1, 4))
    assert torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])
    decoder.train()
    assert not torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])


def test_a_tiny_copying_task_is_learned() -> None:
    """The target is the source, one position a word: attention has to walk."""
    torch.manual_seed(4)
    settings = RnnSearchSettings(hidden=24, embedding=16, readout=16, attention=24)
    decoder = RnnSearchDecoder(settings, dim=12, vocabulary_size=8)
    place, symbol = torch.eye(4), torch.eye(8)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)
    for _ in range(120):
        words = torch.randint(8, (32, 4))
        values = torch.cat([symbol[words], place.expand(32, -1, -1)], dim=-1)
        previous = torch.nn.functional.pad(words, (1, 0))[:, :-1]
        logits, weights = decoder(Annotations(values), previous.unsqueeze(1))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2), words.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert torch.equal(weights[:, 0].argmax(-1), torch.arange(4).expand(32, -1))
