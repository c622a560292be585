"""Search: from a decoder's next-token scores to whole sentences.

Small roles, wired by one loop in :mod:`regard.search.loop`: constraints forbid tokens, a strategy chooses (beam search,
sampling, rollouts for self-critical training), back-pointers record who continued whom, and the finished hypotheses are
kept and ranked.
"""

from regard.search.backpointers import Hypothesis
from regard.search.loop import search
from regard.search.options import SearchOptions, SpecialTokens

__all__ = ["Hypothesis", "SearchOptions", "SpecialTokens", "search"]
