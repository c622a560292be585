"""The loop: step, constrain, choose, record, until every input is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import EMPTY, Decoder, State, Stepper
from regard.fast import for_search
from regard.search.active import ActiveHypotheses, remaining_inputs
from regard.search.backpointers import Hypothesis, Sequences
from regard.search.constraints import Constraint, build_constraints, check_prefixes
from regard.search.finished import RankedHypotheses
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.step_scores import StepScores
from regard.search.strategies import RankingStrategy, Strategy, build_strategy


def search(
    decoder: Decoder | Stepper,
    annotations: Annotations,
    options: SearchOptions,
    *,
    tokens: SpecialTokens,
    prefixes: Sequence[Sequence[int]] | None = None,
    numbers: Sequence[int] | None = None,
    on_agreed: Callable[[int, Hypothesis], None] | None = None,
) -> list[list[Hypothesis]]:
    """Find the best sentences for each input.

    Args:
        decoder: in evaluation mode; nothing is put on it. Who searches often prepares it once, with
            :func:`regard.fast.for_search`, and gives that.
        annotations: a batch of inputs.
        options: what to search for.
        tokens: begin, end and the tokens that are never possible.
        prefixes: token ids with which each hypothesis of an input must begin, one sequence per input, empty for none.
            They are taken even where a constraint would forbid them, and their probability counts.
        numbers: the number of each input in its data set, for sampling: a sample is a function of the seed and this
            number. By default the inputs are numbered from 0.
        on_agreed: called after each step with the index of an input and the stable prefix of its best hypothesis, see
            :mod:`regard.search.agreement`.

    Returns:
        For each input its hypotheses, best first: finished ones before unfinished ones, then by score. At least one,
        which is unfinished when none ended.

    Raises:
        ConfigError: a prefix that is impossible.
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
    constraints = build_constraints(options, tokens, prefixes=prefixes, device=device)
    with torch.inference_mode():
        stepper = for_search(decoder) if isinstance(decoder, Decoder) else decoder
        strategy = build_strategy(options, tokens, numbers=numbers, device=device)
        active = decode(
            stepper,
            annotations,
            strategy,
            constraints,
            tokens=tokens,
            max_length=options.max_length,
            keep_history=options.no_repeat is not None,
            on_step=None if on_agreed is None else lambda rows: _report_agreed(on_agreed, strategy, rows),
        )
        strategy.add_unfinished(active, active.is_active)
        ranked = strategy.finished.best()
        sequences = strategy.back_pointers.read(ranked.inputs, ranked.rows, ranked.lengths)
    return _hypotheses(ranked, sequences, annotations)


def decode(
    stepper: Stepper,
    annotations: Annotations,
    strategy: Strategy,
    constraints: Sequence[Constraint],
    *,
    tokens: SpecialTokens,
    max_length: int,
    keep_history: bool = False,
    on_step: Callable[[ActiveHypotheses], None] | None = None,
) -> ActiveHypotheses:
    """Step until every input is done or has ``max_length`` tokens; the strategy records what it needs.

    Args:
        stepper: of the decoder.
        annotations: a batch of inputs.
        strategy: chooses the continuations.
        constraints: applied in this order.
        tokens: begin and end.
        max_length: the most tokens, the end included.
        keep_history: whether constraints need all tokens of each hypothesis.
        on_step: called after each step with the hypotheses that are still active.

    Returns:
        The hypotheses that are still active.
    """
    batch, device = len(annotations), annotations.values.device
    state = stepper.start(annotations, rows=strategy.first_rows)
    active = ActiveHypotheses.begin(
        batch, strategy.first_rows, bos=tokens.bos, keep_history=keep_history, device=device
    )
    while len(active) and active.step < max_length:
        step = stepper.step(state, active.tokens)
        scores = StepScores.of(step, *active.tokens.shape)
        for constraint in constraints:
            constraint(scores, active)
        choice = strategy.choose(scores, active)
        strategy.record(active, choice, step.weights)
        active = active.extend(choice, eos=tokens.eos)
        parents = torch.where(active.is_active, choice.parents, EMPTY)
        active, state = _drop_done(active, step.state.reorder(parents), strategy.done(active))
        if on_step is not None:
            on_step(active)
    return active


def _report_agreed(
    on_agreed: Callable[[int, Hypothesis], None], strategy: RankingStrategy, active: ActiveHypotheses
) -> None:
    from regard.search.agreement import agreed_prefixes

    for number, hypothesis in agreed_prefixes(strategy, active):
        on_agreed(number, hypothesis)


def _drop_done(active: ActiveHypotheses, state: State, done: Tensor) -> tuple[ActiveHypotheses, State]:
    """Take done inputs out of the batch where that pays; until then their rows are empty."""
    remaining = remaining_inputs(done)
    if remaining is None:
        return active.without(done), state
    return active.select(remaining), state.select(remaining)


def _hypotheses(ranked: RankedHypotheses, sequences: Sequences, annotations: Annotations) -> list[list[Hypothesis]]:
    """One list per input. Outside of inference mode: what is returned are plain tensors."""
    size = annotations.values.shape[1]
    positions = [size] * len(annotations) if annotations.mask is None else annotations.mask.sum(dim=1).tolist()
    results: list[list[Hypothesis]] = [[] for _ in range(len(annotations))]
    tokens, log_probabilities = sequences.tokens.tolist(), sequences.log_probabilities.tolist()
    tensors = (ranked.inputs, ranked.lengths, ranked.totals, ranked.scores, ranked.finished)
    columns = [column.tolist() for column in tensors]
    for i, (source, length, total, score, finished) in enumerate(zip(*columns, strict=True)):
        results[source].append(
            Hypothesis(
                tokens=tuple(tokens[i][:length]),
                log_probabilities=tuple(log_probabilities[i][:length]),
                log_probability=total,
                score=score,
                weights=sequences.weights[i, :length, : positions[source]].float().clone(),
                finished=finished,
            )
        )
    return results
