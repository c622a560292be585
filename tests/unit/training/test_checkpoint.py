"""A checkpoint is whole or the one before it, and gives back what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from regard.errors import ModelError
from regard.saved.tensors import load_tensors, named_tensors
from regard.training import checkpoint as module
from regard.training.checkpoint import (
    Position,
    has_checkpoint,
    load_checkpoint,
    load_last_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from regard.training.parameters import RunningAverage, Swapped, dropout_of

POSITION = Position(phase=1, epoch=2, batch=3, best=41.5, best_epoch=4, baseline=-0.25, sums={"loss": 0.1 + 0.2})


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tensors = {"model.w": torch.randn(3, 4).t(), "average.w": torch.tensor(0.5), "optimizer.step.w": torch.tensor(7.0)}
    save_checkpoint(path, tensors, POSITION, recipe={"name": "n", "lr": 1e-3})
    again, position, recipe = load_checkpoint(path)
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    assert position == POSITION
    assert recipe == {"name": "n", "lr": 1e-3}
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_failed_save_leaves_the_former_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"w": torch.ones(2)}, POSITION, recipe={})

    def full(_: object, file: Path, **__: object) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(ModelError, match=r"cannot be written .*No space left.*the same command continues"):
        save_checkpoint(path, {"w": torch.zeros(2)}, POSITION, recipe={})
    assert torch.equal(load_checkpoint(path)[0]["w"], torch.ones(2))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "pickle", "no position", "other position"])
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"w": torch.ones(50)}, POSITION, recipe={})
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(path.read_bytes()[:-3])
        case "pickle":
            torch.save({"w": torch.ones(2)}, path)
        case "no position":
            save_file({"w": torch.ones(2)}, path)
        case "other position":
            save_file({"w": torch.ones(2)}, path, metadata={"position": '{"phse": 1}', "recipe": "{}"})
    with pytest.raises(ModelError, match="is no checkpoint of this version") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int, *, first: int) -> None:
    for number in range(first, first + count):
        optimizer.zero_grad(set_to_none=True)
        inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(number))
        model(inputs).square().sum().backward()
        optimizer.step()


def test_a_restored_optimizer_takes_the_same_steps() -> None:
    whole, parts = network(), network()
    optimizer = torch.optim.AdamW(whole.parameters(), lr=0.1)
    steps(whole, optimizer, 5, first=0)
    begun = torch.optim.AdamW(parts.parameters(), lr=0.1)
    steps(parts, begun, 2, first=0)
    names = {id(parameter): name for name, parameter in parts.named_parameters()}
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(begun, names).items()}
    assert "optimizer.exp_avg.0.weight" in kept
    restored = torch.optim.AdamW(parts.parameters(), lr=0.1)
    restore_optimizer(restored, names, kept)
    steps(parts, restored, 3, first=2)
    for (name, ours), theirs in zip(named_tensors(parts).items(), named_tensors(whole).values(), strict=True):
        assert torch.equal(ours, theirs), name


def test_a_running_average_forgets_the_start_and_follows_the_model() -> None:
    model = network()
    average = RunningAverage(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(2.0)
    expected = named_tensors(network())["0.weight"].clone()
    for update in range(1, 200):
        average.update(model)
        share = 1 - min(0.9, (1 + update) / (10 + update))
        expected += share * (2.0 - expected)
    torch.testing.assert_close(average.tensors["0.weight"], expected)
    assert float((average.tensors["0.weight"] - 2).abs().max()) < 1e-6


def test_weights_are_swapped_for_a_while() -> None:
    model = network()
    own = {name: tensor.clone() for name, tensor in named_tensors(model).items()}
    others = {name: torch.ones_like(tensor) for name, tensor in own.items()}

    def fail() -> None:
        with Swapped(model, others):
            assert torch.equal(named_tensors(model)["0.weight"], torch.ones(4, 3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all(torch.equal(tensor, own[name]) for name, tensor in named_tensors(model).items())


def test_tensors_that_do_not_fit_are_refused() -> None:
    model = network()
    tensors = {name: tensor.clone() for name, tensor in named_tensors(model).items()}
    for change, problem in (
        ({"9.weight": torch.ones(1)}, "here: holds unknown 1 tensors, such as 9.weight"),
        ({"0.weight": torch.ones(3, 4)}, r"here: the shape of 0.weight is \(3, 4\), the model's \(4, 3\)"),
    ):
        with pytest.raises(ModelError, match=problem):
            load_tensors(model, tensors | change, origin="here")
    del tensors["1.running_mean"]
    with pytest.raises(ModelError, match=r"here: misses 1 tensors, such as 1\.running_mean"):
        load_tensors(model, tensors, origin="here")


def save_two(folder: Path) -> Path:
    path = folder / "checkpoint.safetensors"
    for number in (1.0, 2.0):
        save_checkpoint(path, {"w": torch.full((50,), number)}, POSITION, recipe={"number": number})
    return path


def test_the_checkpoint_before_serves_where_the_last_one_is_torn(tmp_path: Path) -> None:
    path = save_two(tmp_path)
    said: list[str] = []
    loaded = load_last_checkpoint(tmp_path, log=said.append)
    assert loaded is not None
    assert (loaded[2], said) == ({"number": 2.0}, [])
    content = bytearray(path.read_bytes())
    content[-9] ^= 4  # a flipped bit in a number
    path.write_bytes(content)
    loaded = load_last_checkpoint(tmp_path, log=said.append)
    assert loaded is not None
    assert loaded[2] == {"number": 1.0}
    assert torch.equal(loaded[0]["w"], torch.ones(50))
    assert "its checksum differs" in said[0]
    assert "training goes on from the checkpoint before it" in said[0]
    path.write_bytes(content[:100])
    assert load_last_checkpoint(tmp_path, log=said.append) is not None
    path.unlink()  # as a kill between the two moves leaves it
    assert load_last_checkpoint(tmp_path, log=said.append) is not None
    assert len(said) == 2


def test_two_torn_checkpoints_are_one_line_and_none_is_none(tmp_path: Path) -> None:
    assert load_last_checkpoint(tmp_path, log=print) is None
    assert not has_checkpoint(tmp_path)
    path = save_two(tmp_path)
    assert has_checkpoint(tmp_path)
    for name in ("checkpoint.safetensors", "checkpoint-before.safetensors"):
        (tmp_path / name).write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors: is no checkpoint"):
        load_last_checkpoint(tmp_path, log=print)


def test_dropout_is_changed_for_a_while_where_there_is_any() -> None:
    model = nn.Sequential(nn.Dropout(0.3), nn.Dropout(0.0), nn.GRU(2, 2, num_layers=2, dropout=0.4), nn.GRU(2, 2))

    def rates() -> list[float]:
        return [getattr(layer, "p", getattr(layer, "dropout", 0.0)) for layer in model]

    with dropout_of(model, None):
        assert rates() == [0.3, 0.0, 0.4, 0.0]
    with dropout_of(model, 0.1):
        assert rates() == [0.1, 0.0, 0.1, 0.0]
    assert rates() == [0.3, 0.0, 0.4, 0.0]
