import torch

from regard.search.active import Choice
from regard.search.backpointers import BackPointers


def test_hypotheses_are_read_backwards_through_parents_and_departures():
    back_pointers = BackPointers()
    weights = [torch.tensor([[[float(10 * t + 2 * b + r)] for r in range(2)] for b in range(3)]) for t in range(3)]

    def choice(parents, tokens):
        tokens = torch.tensor(tokens)
        return Choice(torch.tensor(parents), tokens, -tokens.float(), torch.zeros_like(tokens).float())

    back_pointers.add(torch.tensor([0, 1, 2]), choice([[0, 0], [0, 0], [0, 0]], [[1, 2], [3, 4], [5, 6]]), weights[0])
    # input 1 has left; rows of input 0 are swapped, both rows of input 2 come from row 1
    back_pointers.add(torch.tensor([0, 2]), choice([[1, 0], [1, 1]], [[11, 12], [15, 16]]), weights[1][[0, 2]])
    sequences = back_pointers.read(
        torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 0, 1]), torch.tensor([2, 2, 1, 2, 0])
    )
    assert sequences.tokens.tolist() == [[2, 11], [1, 12], [4, 0], [6, 15], [0, 0]]
    assert sequences.log_probabilities.tolist() == [[-2, -11], [-1, -12], [-4, 0], [-6, -15], [0, 0]]
    # the look at step 0 was row 0's, the look at step 1 the parent's
    assert sequences.weights.squeeze(-1).tolist() == [[0, 11], [0, 10], [2, 0], [4, 15], [0, 0]]
