"""What a benchmark says: rows of the table and charts, as they travel from the process that measured to the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Row:
    """One work done by this package and by one peer.

    Attributes:
        work: what was done.
        peer: who else did it.
        unit: of both values, such as ``tokens/s``.
        ours, theirs: what was measured; None where it was not.
        more_is_better: whether the unit is a speed, and not a time or an amount of memory.
        share: of the machine's rate of matrix products, which our value stands for; None where it says nothing.
        missing: why ``theirs``, or both, were not measured.
    """

    work: str
    peer: str
    unit: str = ""
    ours: float | None = None
    theirs: float | None = None
    more_is_better: bool = True
    share: float | None = None
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is."""
        if not self.ours or not self.theirs:
            return None
        return self.ours / self.theirs if self.more_is_better else self.theirs / self.ours


@dataclass(frozen=True)
class Plot:
    """A chart to be drawn: lines of (x, y) by name; ``text`` says on the page what was measured."""

    name: str
    title: str
    x_title: str
    y_title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    text: str
    logarithmic: bool = False
    """Whether equal factors of x stand at equal distances."""


@dataclass(frozen=True)
class Outcome:
    """All that one benchmark found.

    Attributes:
        rows: for the table.
        plots: for the page.
        facts: conditions of this benchmark, one sentence each without a full stop.
        rate: operations a second in float32 matrix products, measured beside this benchmark; None where not asked for.
    """

    rows: list[Row] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    rate: float | None = None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """What :meth:`to_json` wrote."""
        values: dict[str, Any] = json.loads(line)
        plots = [Plot(**plot) for plot in values["plots"]]
        return cls([Row(**row) for row in values["rows"]], plots, values["facts"], values["rate"])


@dataclass(frozen=True)
class Conditions:
    """Under which a benchmark runs.

    Attributes:
        threads: of the processor, for everybody alike.
        repetitions: measured ones, after one to warm up.
        quick: much smaller work, to try the programs; what comes out says little.
    """

    threads: int
    repetitions: int
    quick: bool = False


def compared(
    pairs: Iterable[tuple[str, str]],
    values: Mapping[str, float],
    *,
    unit: str,
    shares: Mapping[str, float],
    titles: Mapping[str, str] = MappingProxyType({}),
    more_is_better: bool = True,
    missing: str = "",
) -> list[Row]:
    """A row for each pair of a work of ours and a peer.

    Args:
        pairs: their names in ``values``.
        values: what was measured of works and peers, in ``unit``.
        unit: of all values.
        shares: of the machine's rate of matrix products, by work.
        titles: what the page calls a peer, where that is not its name.
        more_is_better: whether the unit is a speed.
        missing: why a peer that has no value was not measured.
    """
    return [
        Row(
            work=work,
            peer=titles.get(peer, peer),
            unit=unit,
            ours=values[work],
            theirs=values.get(peer),
            more_is_better=more_is_better,
            share=shares.get(work),
            missing="" if peer in values else missing,
        )
        for work, peer in pairs
    ]


def unmeasured(work: str, peers: Sequence[str], reason: str) -> list[Row]:
    """Rows that say why they are empty."""
    return [Row(work=work, peer=peer, missing=reason) for peer in peers]
