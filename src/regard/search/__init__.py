"""Search: from a decoder's next-word scores to whole sentences.

Four small roles, wired by one loop in :mod:`regard.search.loop`: filters forbid, a chooser picks (beam or sampling),
the trail remembers who came from whom, the shortlist keeps and ranks what has been said.
"""

from regard.search.backpointers import Hypothesis
from regard.search.loop import search
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.rollouts import sample_captions

__all__ = ["Hypothesis", "SearchOptions", "SpecialTokens", "sample_captions", "search"]
