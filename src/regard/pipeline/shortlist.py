"""A search in which each input has a vocabulary of its own: its lexical shortlist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from regard.annotations import Annotations
from regard.errors import ConfigError
from regard.fast.search.lexical_shortlist import SharedTokens, ShortlistStepper
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search

Ids = tuple[int, ...]


def search_shortlists(
    shared: SharedTokens,
    lists: Sequence[Ids],
    annotations: Annotations,
    options: SearchOptions,
    *,
    tokens: SpecialTokens,
    prefixes: Sequence[Ids],
    numbers: Sequence[int],
    on_agreed: Callable[[int, Hypothesis], None] | None = None,
) -> list[list[Hypothesis]]:
    """Search for each input of a batch among the tokens of its shortlist.

    Args:
        shared: the tokens that all shortlists share.
        lists: the other tokens of each shortlist, those of the prefix among them.
        annotations, options, tokens, prefixes, numbers, on_agreed: as for :func:`regard.search.search`.

    Raises:
        ConfigError: a prefix leaves no room for a word, or an option has no effect with a shortlist.
    """
    stepper = ShortlistStepper(shared, lists)
    begun = [stepper.to_shortlist(each, prefix) for each, prefix in enumerate(prefixes)]
    renumbered = _special_tokens(tokens, stepper)

    def report(number: int, agreed: Hypothesis) -> None:
        assert on_agreed is not None, "called only where there is a callback"
        on_agreed(number, _in_vocabulary(agreed, stepper, number))

    found = search(
        stepper,
        annotations,
        options,
        tokens=renumbered,
        prefixes=begun,
        numbers=numbers,
        on_agreed=None if on_agreed is None else report,
    )
    return [[_in_vocabulary(each, stepper, number) for each in hypotheses] for number, hypotheses in enumerate(found)]


def _special_tokens(tokens: SpecialTokens, stepper: ShortlistStepper) -> SpecialTokens:
    """The special tokens by their places in the shortlists, which are the same for all inputs."""
    if tokens.never_last:
        raise ConfigError("no_end_after has no effect with a shortlist", remedy="translate without the shortlist")
    bos, eos, *forbidden = stepper.to_shortlist(0, [tokens.bos, tokens.eos, *tokens.forbidden])
    return SpecialTokens(bos=bos, eos=eos, forbidden=tuple(forbidden))


def _in_vocabulary(hypothesis: Hypothesis, stepper: ShortlistStepper, number: int) -> Hypothesis:
    return replace(hypothesis, tokens=stepper.to_vocabulary(number, hypothesis.tokens))
