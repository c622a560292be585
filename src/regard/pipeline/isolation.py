"""One input that fails costs its own result and no other's, whatever it raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from regard.errors import LESS_MEMORY, RegardError, is_out_of_memory

Item = TypeVar("Item")
Answer = TypeVar("Answer")

REPORT = "please report this; the other inputs are not affected"


@dataclass(frozen=True)
class Defect:
    """What stands in the place of an answer where computing it raised an error that is none of ours.

    Attributes:
        reason: kind and text of the error. A worker process can send this where it cannot send the error.
        remedy: what to do.
    """

    reason: str
    remedy: str = REPORT

    @classmethod
    def of(cls, error: Exception) -> Defect:
        """What stands for an error."""
        if is_out_of_memory(error):
            return cls("takes more memory than is free", LESS_MEMORY)
        return cls(describe(error))


def describe(error: Exception) -> str:
    """Kind and text of an unexpected error in one short line."""
    return f"failed in a way that regard did not expect ({type(error).__name__}: {error!s:.200})"


def answer_each(process: Callable[[Sequence[Item]], Sequence[Answer]], items: Sequence[Item]) -> list[Answer | Defect]:
    """``process`` of a batch; where it fails, of its halves, down to the items that it fails on.

    Args:
        process: gives an answer for each item of a batch.
        items: the batch.

    Returns:
        For each item, in order, its answer or a :class:`Defect`.

    Raises:
        RegardError: what is wrong with the whole call, such as an option.
    """
    try:
        return [*process(items)]
    except RegardError:
        raise
    except Exception as error:
        if len(items) == 1:
            return [Defect.of(error)]
        middle = len(items) // 2
        return [*answer_each(process, items[:middle]), *answer_each(process, items[middle:])]
