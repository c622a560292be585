"""Shapes that annotations name are checked in these tests: a silent broadcast fails one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from regard.attention import Attended, masked_softmax
from regard.search.sampling import sample_index


def test_tensors_that_would_broadcast_are_refused() -> None:
    with pytest.raises(TypeCheckError, match="rows"):
        Attended(torch.zeros(2, 3, 4), torch.zeros(2, 1, 5))
    with pytest.raises(TypeCheckError, match="uniform"):
        sample_index(torch.zeros(2, 3, 7), torch.zeros(3))
    with pytest.raises(TypeCheckError, match="scores"):
        masked_softmax(torch.zeros(3, 4), None)


def test_the_package_does_not_import_what_checks_them() -> None:
    code = "import regard.search, sys; print(*sorted({'jaxtyping', 'beartype'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
