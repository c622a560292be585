"""The loop: look, filter, choose, remember, until every input is done."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import EMPTY, Decoder, State, Stepper
from regard.fast import for_search
from regard.search.active import Live, worth_leaving
from regard.search.backpointers import Hypothesis, Said, Trail
from regard.search.constraints import Filter, build_filters, check_prefixes
from regard.search.finished import Entries, Shortlist
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.step_scores import Scores
from regard.search.strategies import Chooser, build_chooser


def search(
    decoder: Decoder | Stepper,
    annotations: Annotations,
    options: SearchOptions,
    *,
    tokens: SpecialTokens,
    prefixes: Sequence[Sequence[int]] | None = None,
    numbers: Sequence[int] | None = None,
) -> list[list[Hypothesis]]:
    """Say what the decoder finds best for each input.

    Args:
        decoder: in evaluation mode; nothing is put on it. Who searches often makes its stepper once, with
            :func:`regard.fast.for_search`, and gives that.
        annotations: a batch of inputs.
        options: what to search for.
        tokens: begin, end and the tokens that are never said.
        prefixes: token ids with which each hypothesis of an input must begin, one sequence per input, empty for none.
            They are said even when a filter would forbid them, and their probability counts.
        numbers: the number of each input in its data set, for sampling: a sample is a function of the seed and this
            number. By default the inputs are numbered from 0.

    Returns:
        For each input its hypotheses, best first: finished ones before unfinished ones, then by score. At least one,
        which is unfinished when none ended.

    Raises:
        ConfigError: a prefix that cannot be said.
    """
    assert not (isinstance(decoder, Decoder) and decoder.training), "search needs the decoder in evaluation mode"
    assert prefixes is None or len(prefixes) == len(annotations), "one prefix per input"
    assert numbers is None or len(numbers) == len(annotations), "one number per input"
    if not len(annotations):
        return []
    if prefixes is not None:
        check_prefixes(prefixes, options, tokens, vocabulary_size=decoder.vocabulary_size)
    if numbers is None:
        numbers = range(len(annotations))
    device = annotations.values.device
    filters = build_filters(options, tokens, prefixes=prefixes, device=device)
    with torch.inference_mode():
        stepper = for_search(decoder) if isinstance(decoder, Decoder) else decoder
        chooser = build_chooser(options, tokens, numbers=numbers, device=device)
        entries, said = _run(stepper, annotations, options, tokens=tokens, filters=filters, chooser=chooser)
    return _hypotheses(entries, said, annotations)


def _run(
    stepper: Stepper,
    annotations: Annotations,
    options: SearchOptions,
    *,
    tokens: SpecialTokens,
    filters: list[Filter],
    chooser: Chooser,
) -> tuple[Entries, Said]:
    batch, device = len(annotations), annotations.values.device
    alpha, max_length = options.length_normalisation, options.max_length
    shortlist = Shortlist(
        batch, places=chooser.places, kept=chooser.kept, alpha=alpha, max_length=max_length, device=device
    )
    trail = Trail()
    state = stepper.start(annotations, rows=chooser.first_rows)
    remember = options.no_repeat is not None
    live = Live.begin(batch, chooser.first_rows, bos=tokens.bos, remember=remember, device=device)
    while len(live) and live.step < max_length:
        step = stepper.step(state, live.tokens)
        scores = Scores.of(step, *live.tokens.shape)
        for each in filters:
            each(scores, live)
        choice = chooser.choose(scores, live)
        trail.add(live.inputs, choice, step.weights)
        ended = (choice.tokens == tokens.eos) & choice.alive
        shortlist.add(ended, live, rows=choice.parents, totals=choice.totals, finished=True)
        _keep_unfinished(shortlist, live, chooser.stuck(live, choice))
        live = live.follow(choice, eos=tokens.eos)
        parents = torch.where(live.alive, choice.parents, EMPTY)
        live, state = _leave(live, step.state.reorder(parents), chooser.done(live, shortlist))
    _keep_unfinished(shortlist, live, live.alive)
    entries = shortlist.best()
    return entries, trail.read(entries.inputs, entries.rows, entries.words)


def _keep_unfinished(shortlist: Shortlist, live: Live, chosen: Tensor) -> None:
    rows = torch.arange(live.totals.shape[1], device=live.totals.device).expand_as(live.totals)
    shortlist.add(chosen, live, rows=rows, totals=live.totals, finished=False)


def _leave(live: Live, state: State, done: Tensor) -> tuple[Live, State]:
    """Take done inputs out of the batch where that pays; until then their rows are empty."""
    staying = worth_leaving(done)
    if staying is None:
        return live.without(done), state
    return live.select(staying), state.select(staying)


def _hypotheses(entries: Entries, said: Said, annotations: Annotations) -> list[list[Hypothesis]]:
    """One list per input. Outside of inference mode: what is returned are plain tensors."""
    size = annotations.values.shape[1]
    positions = [size] * len(annotations) if annotations.mask is None else annotations.mask.sum(dim=1).tolist()
    results: list[list[Hypothesis]] = [[] for _ in range(len(annotations))]
    tokens, log_probabilities = said.tokens.tolist(), said.log_probabilities.tolist()
    numbers = (entries.inputs, entries.words, entries.totals, entries.scores, entries.finished)
    columns = [column.tolist() for column in numbers]
    for i, (source, words, total, score, finished) in enumerate(zip(*columns, strict=True)):
        results[source].append(
            Hypothesis(
                tokens=tuple(tokens[i][:words]),
                log_probabilities=tuple(log_probabilities[i][:words]),
                log_probability=total,
                score=score,
                weights=said.weights[i, :words, : positions[source]].float().clone(),
                finished=finished,
            )
        )
    return results
