"""Work shared among the machines of a Ray cluster, through Ray Data.

A chunk of the work is one row of a dataset; actors that hold the model map chunks to their results, and Ray starts an
actor again, with the chunk that it had, when its process or its machine is lost. A chunk is computed as one process
computes it that has the whole work, so results are the same, bit for bit on the same kind of processor.

The cluster is the one that ``RAY_ADDRESS`` names, else the one that runs on this machine (``ray start``), else one that
is started here and ends with the work. Every machine needs regard, and the model and the inputs under the same paths.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from regard.errors import DependencyError, RegardError, WorkerError
from regard.parallel.workers import Loader

Work = Callable[[Any, Any], Any]
"""From a model and a chunk to the results of it; pickled by its name."""


def _actor(load: Loader, work: Work) -> type:
    """The class of actors that hold a model.

    Ray keeps a class for as long as the work takes, but arguments of an actor only where they were put, and without
    them it could not be started again.
    """

    class ModelActor:
        def __init__(self) -> None:
            self._model = load()

        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            results = work(self._model, pickle.loads(row["chunk"]))
            return {"number": row["number"], "results": pickle.dumps(results, pickle.HIGHEST_PROTOCOL)}

    return ModelActor


def map_on_ray(
    load: Loader, work: Work, chunks: Sequence[Any], *, actors: int | None = None, cpus: int = 1, gpus: int = 0
) -> Iterator[Any]:
    """The results of each chunk, in order; those that are done early wait in Ray's object store.

    Args:
        load: gives the model; each actor calls it once.
        work: what an actor does with a chunk.
        chunks: small descriptions of parts of the work.
        actors: how many hold the model; None for as many as the cluster has room for.
        cpus, gpus: what each of them takes of its machine.

    Raises:
        DependencyError: the package ``ray`` is not installed.
        RegardError: what loading or the work raises.
        WorkerError: the cluster cannot be reached or used.
    """
    if not chunks:
        return
    with _cluster() as ray:
        from ray.data import ActorPoolStrategy, DataContext

        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        most = actors or max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)) // (gpus or cpus))
        rows = [{"number": number, "chunk": pickle.dumps(chunk)} for number, chunk in enumerate(chunks)]
        size = min(most, len(rows))
        pool = ActorPoolStrategy(min_size=1, max_size=size, initial_size=size)
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _actor(load, work), compute=pool, num_cpus=cpus, num_gpus=gpus
        )
        for number, row in enumerate(done.iter_rows()):
            assert row["number"] == number, "Ray keeps the order"
            yield pickle.loads(row["results"])


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected to a cluster; what goes wrong there is one error."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports home otherwise
    try:
        import ray
        import ray.data
    except ImportError:
        raise DependencyError("ray", extra="ray", purpose="work on a Ray cluster") from None
    connected = ray.is_initialized()
    try:
        if not connected:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
            logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield ray
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise _told(error) from None
    finally:
        if not connected:
            ray.shutdown()


def _told(error: BaseException) -> RegardError:
    """The error of ours that lies behind one of Ray's, or one that quotes it."""
    causes: list[BaseException | None] = [error, getattr(error, "cause", None), error.__cause__]
    for each in causes:
        if isinstance(each, RegardError):
            return each
        if each is not None and each is not error:
            return _told(each)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if lines else type(error).__name__
    return WorkerError(f"Ray: {said:.300}", remedy="without --ray the same work runs on this machine alone")
