"""Metrics of the service, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """Counts of values by upper bound, with their number and sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        assert all(low < high for low, high in pairwise(self._bounds)), "bounds ascend"

    def observe(self, value: float) -> None:
        """Count a value."""
        place = next((i for i, bound in enumerate(self._bounds) if value <= bound), len(self._bounds))
        self._counts[place] += 1
        self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        """The lines of one metric."""
        total = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """The metrics of a service.

    Attributes:
        requests: how many were answered, by route and status.
        seconds: from the arrival of a request to its response.
        batch_sizes: requests that were computed together.
        restarts: how often a model process ended and was started again.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds = Histogram(SECONDS)
        self.batch_sizes = Histogram(BATCH_SIZES)
        self.restarts = 0

    def text(self, *, waiting: int, ready: int) -> str:
        """Everything, with the number of waiting requests and of processes that are ready."""
        return "\n".join([*self._lines(waiting, ready), ""])

    def _lines(self, waiting: int, ready: int) -> Iterator[str]:
        yield "# HELP regard_requests_total Requests that were answered."
        yield "# TYPE regard_requests_total counter"
        for (route, status), count in sorted(self.requests.items()):
            yield f'regard_requests_total{{route="{route}",status="{status}"}} {count}'
        yield "# HELP regard_request_seconds Time from a request to its response."
        yield "# TYPE regard_request_seconds histogram"
        yield from self.seconds.lines("regard_request_seconds")
        yield "# HELP regard_batch_size Requests computed together."
        yield "# TYPE regard_batch_size histogram"
        yield from self.batch_sizes.lines("regard_batch_size")
        for name, kind, value, help_text in (
            ("regard_waiting_requests", "gauge", waiting, "Requests that wait for a model process."),
            ("regard_processes_ready", "gauge", ready, "Model processes that can compute."),
            (
                "regard_process_restarts_total",
                "counter",
                self.restarts,
                "Model processes that ended and were replaced.",
            ),
        ):
            yield f"# HELP {name} {help_text}"
            yield f"# TYPE {name} {kind}"
            yield f"{name} {value}"
