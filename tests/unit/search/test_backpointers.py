import torch

from regard.search.active import Choice
from regard.search.backpointers import Trail


def test_the_trail_is_read_backwards_through_parents_and_departures():
    trail = Trail()
    weights = [torch.tensor([[[float(10 * t + 2 * b + r)] for r in range(2)] for b in range(3)]) for t in range(3)]

    def choice(parents, tokens):
        tokens = torch.tensor(tokens)
        return Choice(torch.tensor(parents), tokens, -tokens.float(), torch.zeros_like(tokens).float())

    trail.add(torch.tensor([0, 1, 2]), choice([[0, 0], [0, 0], [0, 0]], [[1, 2], [3, 4], [5, 6]]), weights[0])
    # input 1 has left; rows of input 0 are swapped, both rows of input 2 come from row 1
    trail.add(torch.tensor([0, 2]), choice([[1, 0], [1, 1]], [[11, 12], [15, 16]]), weights[1][[0, 2]])
    said = trail.read(torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 0, 1]), torch.tensor([2, 2, 1, 2, 0]))
    assert said.tokens.tolist() == [[2, 11], [1, 12], [4, 0], [6, 15], [0, 0]]
    assert said.log_probabilities.tolist() == [[-2, -11], [-1, -12], [-4, 0], [-6, -15], [0, 0]]
    # the look at step 0 was row 0's, the look at step 1 the parent's
    assert said.weights.squeeze(-1).tolist() == [[0, 11], [0, 10], [2, 0], [4, 15], [0, 0]]
