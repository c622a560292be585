import pytest
import torch

from regard.search import SearchOptions, search
from regard.search.rollouts import sample_captions


def say(toy, decoder, indices, *, numbers=None, **values):
    chosen = SearchOptions(**{"samples": 4, "max_length": 8, **values})
    return [
        sorted(h.tokens for h in found)
        for found in search(decoder, toy.inputs_of(indices), chosen, tokens=toy.TOKENS, numbers=numbers)
    ]


def test_a_sample_depends_on_seed_and_number_alone(toy):
    decoder = toy.ToyDecoder(inputs=9, steps=8, vocabulary_size=9, scale=0.5)
    everything = say(toy, decoder, list(range(9)), seed=5)
    assert say(toy, decoder, list(range(9)), seed=5) == everything
    some = say(toy, decoder, [7, 2, 4], numbers=[7, 2, 4], seed=5)
    assert some == [everything[7], everything[2], everything[4]]
    assert say(toy, decoder, [7, 2, 4], numbers=[7, 2, 4], seed=6) != some
    same_input = say(toy, decoder, [3, 3], numbers=[0, 1])
    assert same_input[0] != same_input[1]


def test_global_random_state_is_neither_read_nor_moved(toy):
    decoder = toy.ToyDecoder(inputs=2, steps=8, vocabulary_size=9, scale=0.5)
    state = torch.get_rng_state()
    first = say(toy, decoder, [0, 1])
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert say(toy, decoder, [0, 1]) == first


def first_words(toy, decoder, **values):
    chosen = SearchOptions(samples=1000, max_length=1, min_length=1, **values)
    found = search(decoder, toy.inputs_of([0] * 4), chosen, tokens=toy.TOKENS)
    words = [hypothesis.tokens[0] for samples in found for hypothesis in samples]
    return torch.bincount(torch.tensor(words), minlength=decoder.vocabulary_size) / len(words)


def first_scores(toy, decoder):
    scores = torch.log_softmax(decoder.table[0, 0, 0, toy.TOKENS.bos], dim=-1)
    scores[[toy.TOKENS.eos, toy.TOKENS.bos]] = float("-inf")
    return scores


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_come_as_often_as_their_probability(toy, temperature):
    decoder = toy.ToyDecoder(inputs=1, steps=1, vocabulary_size=8, scale=1.0)
    expected = torch.softmax(first_scores(toy, decoder) / temperature, dim=-1)
    drawn = first_words(toy, decoder, temperature=temperature)
    # five standard errors of 4,000 draws
    assert (drawn - expected).abs().max() < 5 * 0.5 / 4000**0.5


@pytest.mark.parametrize("top_k", [1, 3, 100])
def test_top_k_leaves_the_k_best(toy, top_k):
    decoder = toy.ToyDecoder(inputs=1, steps=1, vocabulary_size=8, scale=1.0)
    best = first_scores(toy, decoder).argsort(descending=True)[: min(top_k, 6)]
    assert first_words(toy, decoder, top_k=top_k).nonzero().flatten().tolist() == sorted(best.tolist())


@pytest.mark.parametrize("top_p", [0.01, 0.6, 1.0])
def test_top_p_leaves_the_nucleus(toy, top_p):
    decoder = toy.ToyDecoder(inputs=1, steps=1, vocabulary_size=8, scale=1.0)
    probabilities, order = torch.softmax(first_scores(toy, decoder), dim=-1).sort(descending=True)
    count = min(int((probabilities.cumsum(0) < top_p - 1e-6).sum()) + 1, 6)
    drawn = first_words(toy, decoder, top_p=top_p).nonzero().flatten().tolist()
    assert drawn == sorted(order[:count].tolist())


def test_all_samples_are_returned_best_first_with_the_models_probability(toy):
    decoder = toy.ToyDecoder(inputs=3, steps=6, vocabulary_size=6, scale=1.0)
    chosen = SearchOptions(samples=10, max_length=6, temperature=0.7, top_k=3)
    for index, found in enumerate(search(decoder, toy.inputs_of([0, 1, 2]), chosen, tokens=toy.TOKENS)):
        assert len(found) == 10
        ranks = [(not h.finished, -h.score) for h in found]
        assert ranks == sorted(ranks)
        for h in found:
            ended = (toy.TOKENS.eos,) if h.finished else ()
            expected = toy.log_probability(decoder, index, h.tokens + ended)
            assert h.log_probability == pytest.approx(expected, abs=1e-5)


class TestCaptions:
    def draw(self, toy, decoder, inputs, *, rows=5, seed=0, max_length=7, temperature=1.0):
        return sample_captions(
            decoder,
            toy.inputs_of(inputs),
            rows,
            tokens=toy.TOKENS,
            max_length=max_length,
            generator=torch.Generator().manual_seed(seed),
            temperature=temperature,
        )

    def test_rows_end_once_and_are_zero_behind(self, toy):
        decoder = toy.ToyDecoder(inputs=12, steps=7, vocabulary_size=6, scale=1.0)
        decoder.table[..., toy.TOKENS.eos] += 0.3
        said, lengths = self.draw(toy, decoder, list(range(12)))
        assert said.dtype == lengths.dtype == torch.long
        assert said.shape == (12, 5, int(lengths.max()))
        unended = 0
        for row, length in zip(said.flatten(0, 1).tolist(), lengths.flatten().tolist(), strict=True):
            assert toy.TOKENS.eos not in row[: length - 1]
            assert toy.TOKENS.bos not in row
            assert not any(row[length:])
            unended += row[length - 1] != toy.TOKENS.eos
        assert 0 < unended < 60
        assert len(decoder.rows_seen) == 7
        assert decoder.rows_seen[-1][0] < 11, "inputs whose captions have all ended leave the batch"

    def test_the_generator_decides(self, toy):
        decoder = toy.ToyDecoder(inputs=6, steps=7, vocabulary_size=9)
        first, again, other = (self.draw(toy, decoder, list(range(6)), seed=seed) for seed in (1, 1, 2))
        assert torch.equal(first[0], again[0])
        assert torch.equal(first[1], again[1])
        assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    def test_captions_come_as_often_as_their_probability(self, toy, temperature):
        decoder = toy.ToyDecoder(inputs=1, steps=2, vocabulary_size=4, scale=1.0)
        said, lengths = self.draw(toy, decoder, [0], rows=6000, max_length=2, temperature=temperature)
        drawn = {}
        for row, length in zip(said[0].tolist(), lengths[0].tolist(), strict=True):
            drawn[tuple(row[:length])] = drawn.get(tuple(row[:length]), 0) + 1 / 6000
        assert set(drawn) == {(0,), (2, 0), (2, 2), (2, 3), (3, 0), (3, 2), (3, 3)}
        for caption, share in drawn.items():
            expected, context = 1.0, (0, toy.TOKENS.bos, *caption)
            for t, word in enumerate(caption):
                scores = decoder.table[0, t, context[t], context[t + 1]] / temperature
                scores = scores.index_fill(0, torch.tensor([toy.TOKENS.bos]), float("-inf"))
                expected *= float(torch.softmax(scores, dim=-1)[word])
            assert abs(share - expected) < 5 * 0.5 / 6000**0.5

    def test_captions_can_be_learned_from(self, toy):
        decoder = toy.ToyDecoder(inputs=2, steps=7, vocabulary_size=6)
        said, lengths = self.draw(toy, decoder, [0, 1])
        embedding = torch.nn.Embedding(6, 3)
        embedding(said).sum().backward()
        assert embedding.weight.grad is not None
        assert not lengths.is_inference()
        with pytest.raises(AssertionError, match="evaluation mode"):
            self.draw(toy, decoder.train(), [0])
