"""An input that fails costs its own answer, and what is said of it leads to a remedy."""

from __future__ import annotations

from collections.abc import Sequence

from regard.errors import LESS_MEMORY
from regard.pipeline.isolation import REPORT, Defect, answer_each


def test_an_input_that_takes_too_much_memory_names_what_to_lower() -> None:
    def process(batch: Sequence[int]) -> list[int]:
        if 3 in batch:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        if 4 in batch:
            raise ZeroDivisionError("none of ours")
        return [each * each for each in batch]

    *squares, too_large, other = answer_each(process, range(5))
    assert squares == [0, 1, 4]
    assert too_large == Defect("takes more memory than is free", LESS_MEMORY)
    assert isinstance(other, Defect)
    assert (other.remedy, "ZeroDivisionError" in other.reason) == (REPORT, True)
