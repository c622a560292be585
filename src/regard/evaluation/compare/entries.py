"""The rows of a comparison: what each run came to, and the runs of one model with several seeds together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regard.evaluation.compare.candidates import Candidate


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run came to.

    Attributes:
        scores: of the best epoch on the validation split, from real search on words, × 100, with their signature.
        trained: number of trained parameters, those of the decoder among them.
        decoder: number of parameters of the decoder.
        seconds: of training and validation, without the features of the frozen encoder.
        best_epoch: counted from 1 over all phases.
        machine, versions: where and with what it was trained.
    """

    scores: dict[str, Any]
    trained: int
    decoder: int
    seconds: float
    best_epoch: int
    machine: str
    versions: str


@dataclass(frozen=True)
class Entry:
    """One row of the comparison: what was asked for, and what it came to.

    Attributes:
        p_value: the share of bootstrap draws in which the best model is not better than this one, see
            :mod:`regard.evaluation.compare.significance`; None for the best, and where there is no other.
        low, high: the ends of the 95 % interval of the score that is compared; None where there is one run alone. Runs
            of one recipe with several seeds have p-value and interval in common.
    """

    candidate: Candidate
    measured: Measured
    p_value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Model:
    """One model, trained once or with several seeds; its interval and its p-value are those of any of its entries."""

    entries: tuple[Entry, ...]

    @property
    def candidate(self) -> Candidate:
        """The run with the first seed."""
        return self.entries[0].candidate

    @property
    def measured(self) -> Measured:
        """What the run with the first seed came to."""
        return self.entries[0].measured

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def seeds(self) -> list[int]:
        return [entry.candidate.recipe.seed for entry in self.entries]

    def score(self, name: str) -> float:
        """The mean of a score over the seeds."""
        return statistics.fmean(entry.measured.scores[name] for entry in self.entries)

    def spread(self, name: str) -> float | None:
        """The standard deviation of a score over the seeds; None of one seed."""
        if len(self.entries) < 2:
            return None
        return float(statistics.stdev(entry.measured.scores[name] for entry in self.entries))

    def shown(self, name: str) -> str:
        """The score as tables show it, ± its spread."""
        spread = self.spread(name)
        return f"{self.score(name):.1f}" + ("" if spread is None else f" ± {spread:.1f}")

    @property
    def interval(self) -> tuple[float, float] | None:
        entry = self.entries[0]
        return None if entry.low is None or entry.high is None else (entry.low, entry.high)

    @property
    def p_value(self) -> float | None:
        return self.entries[0].p_value


def by_model(entries: Sequence[Entry]) -> list[Model]:
    """Entries of one name together, in the order in which the names come first."""
    names: dict[str, list[Entry]] = {}
    for entry in entries:
        names.setdefault(entry.candidate.name, []).append(entry)
    return [Model(tuple(each)) for each in names.values()]
