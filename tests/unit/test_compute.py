"""One set of options for how a model computes, wherever it is given."""

from __future__ import annotations

from dataclasses import fields

from regard.cli.options import Computing
from regard.compute import ComputeKeywords, ComputeOptions


def test_keywords_and_the_command_line_have_the_fields_of_the_options() -> None:
    names = [field.name for field in fields(ComputeOptions)]
    types = {field.name: field.type for field in fields(ComputeOptions)}
    assert list(ComputeKeywords.__annotations__) == names
    assert {name: each.__forward_arg__ for name, each in ComputeKeywords.__annotations__.items()} == types
    assert [(field.name, field.default) for field in fields(Computing)] == [
        (field.name, field.default) for field in fields(ComputeOptions)
    ]
