"""Compiled loops: taken where they are asked for, and nothing is lost where they cannot be had."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest
import torch

from regard.ops.additive import AdditiveScorer
from regard.ops.cpu import compiled as module
from regard.ops.cpu.compiled import CompiledOps, NotCompiled, Strided, compile_ops, compiled_ops, current_ops
from regard.ops.packing import GroupedRows
from regard.ops.weighted_sum import WeightedSum


@pytest.fixture
def loops() -> CompiledOps:
    try:
        return compile_ops()
    except NotCompiled as error:
        pytest.skip(f"nothing can be compiled here: {error}")


def script(folder: Path, text: str) -> str:
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def steady() -> CompiledOps:
    try:
        return compile_ops(torch.float64)
    except NotCompiled as error:
        pytest.skip(f"nothing can be compiled here: {error}")


def test_they_are_compiled_once_for_each_type_of_number(loops, steady):
    assert compile_ops(torch.float32) is compile_ops(torch.float32)
    assert steady is not loops


def test_they_are_used_inside_alone(loops):
    device = torch.device("cpu")
    assert current_ops(device, torch.float32) is None
    with compiled_ops():
        assert current_ops(device, torch.float32) is not None
        assert current_ops(device, torch.float64) is None
        assert current_ops(torch.device("meta"), torch.float32) is None
        with compiled_ops(torch.float64):
            assert current_ops(device, torch.float64) is not None
            assert current_ops(device, torch.float32) is None
    assert current_ops(device, torch.float32) is None


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads, loops):
    generator = torch.Generator().manual_seed(0)
    query, keys = torch.rand(9, 37, generator=generator), torch.rand(7, 11, 37, generator=generator)
    push, v, found = torch.randn(9, 11, generator=generator), torch.rand(37, generator=generator), []
    rows = dataclasses.replace(GroupedRows.full(5, 2), offsets=torch.tensor([0, 2, 2, 3, 8, 9]))
    before = torch.get_num_threads()
    for count in (1, threads):
        torch.set_num_threads(count)
        with compiled_ops():
            scorer, summer = AdditiveScorer(keys, v), WeightedSum(keys, torch.float32)
            summer.forward(push, rows, out=(context := torch.empty(9, 37)))
            results = (scorer.scores(query, rows), scorer.backward(query, push, rows), summer.backward(query, rows))
            found.append((*results, *scorer.gradients(), context))
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_a_loop_cannot_take_is_refused(loops):
    whole = torch.zeros(2, 6)
    with pytest.raises(AssertionError, match="compiled for one dtype"):
        loops.run("lstm_forward", whole.double())
    with pytest.raises(AssertionError, match="take contiguous rows"):
        loops.run("lstm_forward", whole[:, :3])
    with pytest.raises(AssertionError, match="take contiguous rows"):
        loops.run("lstm_forward", Strided(whole.t()))


def test_tensors_that_are_not_laid_out_side_by_side(loops):
    generator = torch.Generator().manual_seed(0)
    rows, query = GroupedRows.full(3, 5), torch.randn(6, 15, generator=generator).t()
    keys = torch.randn(3, 6, 5, generator=generator).transpose(1, 2)
    v, push = torch.randn(12, generator=generator)[::2], torch.randn(5, 15, generator=generator).t()
    plain = AdditiveScorer(keys, v)
    with compiled_ops():
        compiled = AdditiveScorer(keys, v)
    for scorer in (plain, compiled):
        assert scorer.scores(query, rows).shape == (15, 5)
    torch.testing.assert_close(compiled.scores(query, rows), plain.scores(query, rows), atol=1e-5, rtol=0)
    found, expected = (scorer.backward(query, push, rows) for scorer in (compiled, plain))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    for one, other in zip(compiled.gradients(), plain.gradients(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo 'loops.cpp:1:1: error: no  such thing' >&2; exit 1", "has failed: loops.cpp:1:1: error: no such thing"),
        ("exit 3", "has failed: it left with 3"),
        ("exit 0", "ops.so"),
        (r"printf 'error: \033[31m\000 red %0999d' 7 >&2; exit 1", "has failed: error: [31m red 000"),
        ('while [ "$1" != -o ]; do shift; done; echo "int x;" | c++ -x c++ -shared -o "$2" -', "undefined symbol"),
    ],
    ids=["an error", "no word", "no file", "not for terminals", "no loops"],
)
def test_a_compiler_that_fails_is_told_in_one_line(text, reason, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", script(tmp_path, text))
    with pytest.raises(NotCompiled) as caught:
        compile_ops.__wrapped__()
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_compiler_that_hangs_is_stopped_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMPILING_SECONDS", 0.5)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "left"))
    (tmp_path / "left").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    compiler = script(tmp_path, 'echo half > "$TMPDIR/half.s"; exec sleep 20')
    monkeypatch.setenv("CXX", f"{compiler} -m64")
    with pytest.raises(NotCompiled, match=r"-m64 took longer than 0.5 s$"):
        compile_ops.__wrapped__()
    assert not list((tmp_path / "left").iterdir())


def test_no_place_for_temporary_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    monkeypatch.setenv("CXX", script(tmp_path, "exit 0"))
    with pytest.raises(NotCompiled, match="not there"):
        compile_ops.__wrapped__()


def test_no_compiler_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotCompiled, match=r"no C\+\+ compiler is found"):
        compile_ops.__wrapped__()
