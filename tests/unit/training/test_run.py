"""A run: whatever moment it is stopped at, the same command brings it to the same end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from regard.config import parse
from regard.encoders.concepts import concept_words
from regard.errors import ConfigError, DataError, Interrupted, ModelError
from regard.evaluation.evaluate import evaluate
from regard.ops.cpu.compiled import NotCompiled, compile_ops
from regard.pipeline import Translator
from regard.saved.bundle import find_bundle, load_bundle
from regard.training import loop
from regard.training.captions import CaptionTask
from regard.training.checkpoint import load_checkpoint, save_checkpoint
from regard.training.recipe import Recipe, read_recipe
from regard.training.run import train


class Watch:
    """Keeps what it is told, and presses Ctrl-C after so many advances."""

    def __init__(self, patience: int | None = None) -> None:
        self.patience = patience
        self.titles: list[str] = []
        self.lines: list[str] = []

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        self.titles.append(title)

    def advance(self, count: int, note: str = "") -> None:
        if self.patience is not None:
            self.patience -= 1
            if self.patience < 0:
                raise KeyboardInterrupt

    def log(self, line: str) -> None:
        self.lines.append(line)


def epochs(folder: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock; of an epoch that was judged twice, the last line."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    timeless = {line["step"]: {k: v for k, v in line.items() if k != "tokens_per_second"} for line in lines}
    return list(timeless.values())


def test_an_interrupted_run_ends_like_one_that_was_not(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts, cache = tmp_path / "whole", tmp_path / "parts", tmp_path / "cache"
    outcome = train(tiny_recipe, whole, cache=cache)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    stops = 0
    # a stop falls into the features, into training and into validation of both phases
    while stops < 20:
        try:
            resumed = train(tiny_recipe, parts, progress=Watch(4), cache=tmp_path / "other-cache")
            break
        except Interrupted:
            stops += 1
    assert stops >= 4
    assert (resumed.best, resumed.best_epoch) == (outcome.best, outcome.best_epoch)
    assert epochs(parts) == epochs(whole)
    assert [line["phase"] for line in epochs(whole)] == [0, 0, 1]
    ours, theirs = (load_file(folder / loop.CHECKPOINT) for folder in (parts, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    best = [(folder / "best" / "weights.safetensors").read_bytes() for folder in (parts, whole)]
    assert best[0] == best[1]


def test_damage_between_two_stretches_is_noticed_and_named(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    run, cache = tmp_path / "run", tmp_path / "cache"
    while not (run / "checkpoint-before.safetensors").exists():
        with pytest.raises(Interrupted):
            train(tiny_recipe, run, progress=Watch(3), cache=cache)
    torn = run / "checkpoint.safetensors"
    torn.write_bytes(torn.read_bytes()[:-100])
    watch = Watch(0)
    with pytest.raises(Interrupted):
        train(tiny_recipe, run, progress=watch, cache=cache)
    assert any("checkpoint.safetensors: is no checkpoint" in line for line in watch.lines)
    vocabulary = run / "vocabulary.json"
    text = vocabulary.read_text()
    vocabulary.write_text(text.replace("dogs", "cogs"))
    with pytest.raises(ModelError, match=r"vocabulary\.json: is not the file that was saved"):
        train(tiny_recipe, run, cache=cache)
    vocabulary.write_text(text)
    features = next(cache.rglob("features.bin"))
    content = bytearray(features.read_bytes())
    content[11] ^= 64
    features.write_bytes(content)
    with pytest.raises(DataError, match=r"features of .* are damaged; delete that folder"):
        train(tiny_recipe, run, cache=cache)


def test_augmented_pairs_and_two_passes_repeat_themselves_after_a_stop(
    tiny_translation_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tiny_translation_recipe.model_dump(mode="json")
    values["data"] |= {"subword_dropout": 0.2, "noise": {"capitals": 0.3, "joined": 0.2}}
    values["phases"][0] |= {"r_drop": 2.0, "validate_every": 2, "epochs": 5}
    recipe = parse(Recipe, values, origin="test")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    outcome = train(recipe, whole)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    stops = 0
    while stops < 40:
        try:
            resumed = train(recipe, parts, progress=Watch(3))
            break
        except Interrupted:
            stops += 1
    assert stops >= 3
    assert (resumed.best, resumed.best_epoch) == (outcome.best, outcome.best_epoch)
    assert epochs(parts) == epochs(whole)
    assert [line["step"] for line in epochs(whole)] == [2, 4, 5, 6], "validated every second time and at the end"
    ours, theirs = (load_file(folder / loop.CHECKPOINT) for folder in (parts, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_run_without_a_compiler_goes_on_and_says_so(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise NotCompiled("no C++ compiler is found")

    monkeypatch.setattr(loop, "compile_ops", fail)
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    watch, cache = Watch(), tmp_path / "cache"
    plain = train(tiny_recipe, tmp_path / "plain", cache=cache)
    compiled = train(tiny_recipe, tmp_path / "compiled", ["compile=true"], cache=cache, progress=watch)
    assert "training goes on without compiled operations: no C++ compiler is found" in watch.lines
    assert compiled.best == plain.best
    ours, theirs = (load_file(outcome.folder / loop.CHECKPOINT) for outcome in (compiled, plain))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_run_left_off_and_continued_with_compiled_loops_is_the_same(
    tiny_translation_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        compile_ops()
    except NotCompiled as error:
        pytest.skip(f"nothing can be compiled here: {error}")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    train(tiny_translation_recipe, whole, ["compile=true"])
    with pytest.raises(Interrupted):
        train(tiny_translation_recipe, parts, ["compile=true"], progress=Watch(3))
    train(tiny_translation_recipe, parts, ["compile=true"])
    ours, theirs = (load_file(folder / loop.CHECKPOINT) for folder in (parts, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_run_leaves_a_model_that_can_be_used_and_judged(
    tiny_recipe: Recipe, captioned_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    state = torch.random.get_rng_state()
    outcome = train(tiny_recipe, folder, ["phases.0.epochs=1", "phases.1.epochs=1"], cache=tmp_path / "cache")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert find_bundle(folder) == folder / "best"
    bundle = load_bundle(folder / "best")
    assert bundle.metrics["split"] == "dev"
    assert bundle.metrics["cider"] == outcome.best
    for promise in (
        "# tiny",
        "Describes pictures",
        "`photos`",
        "| cider |",
        "signature: `regard|captions",
        "name: tiny",
    ):
        assert promise in bundle.card
    assert str(tmp_path) not in bundle.card
    scores = evaluate(folder, captioned_folder, "dev")
    expected = ["split", "count", "bleu1", "bleu2", "bleu3", "bleu4", "cider", "rouge_l", "seconds"]
    assert list(scores) == [*expected, "precision", "note", "signature"]
    assert (scores["split"], scores["count"]) == ("dev", 3)
    assert scores["signature"] == bundle.metrics["signature"]
    # the cache keeps features in half precision and the bundle weights, hence no equality to the last digit
    assert scores["cider"] == pytest.approx(outcome.best, abs=1.0)
    json.dumps(scores)


def test_a_run_that_names_concepts_keeps_its_classes(tiny_recipe: Recipe, tmp_path: Path) -> None:
    values = tiny_recipe.model_dump(mode="json")
    encoder = {"layer": None, "pool": None, "train_from": "stage7", "concepts": 3}
    values["model"]["encoder"] |= encoder
    penalties = {"retain_classes": 0.5, "attention_maps": 0.1, "attention_entropy": 0.01}
    values["phases"][0] |= {**penalties, "epochs": 1}
    recipe, folder = parse(Recipe, values, origin="the test"), tmp_path / "run"
    train(recipe, folder, cache=tmp_path / "cache")
    first, second = epochs(folder)
    assert 0 <= first["forgotten"] < 1
    assert "forgotten" not in second
    model = load_bundle(folder / "best").model
    assert model.concepts is not None
    dog = next(number for number, word in enumerate(concept_words()) if word.text == "dog")
    assert int(model.concepts.get_buffer("tokens")[dog]) >= 4


@pytest.mark.parametrize("change", [{"concepts": 0}, {"train_from": None}], ids=str)
def test_only_an_encoder_that_learns_and_names_concepts_can_retain_classes(
    tiny_recipe: Recipe, change: dict[str, Any]
) -> None:
    values = tiny_recipe.model_dump(mode="json")
    values["model"]["encoder"] |= {"layer": None, "pool": None, "train_from": "stage7", "concepts": 3, **change}
    values["phases"][0] |= {"retain_classes": 0.5}
    values["phases"][0]["optim"]["encoder_lr"] = None
    with pytest.raises(ConfigError, match="retain_classes is above 0"):
        parse(Recipe, values, origin="the test")


def test_a_translator_is_trained_kept_and_judged_in_the_same_way(
    tiny_translation_recipe: Recipe, parallel_folder: Path, tmp_path: Path
) -> None:
    outcome = train(tiny_translation_recipe, tmp_path / "run", cache=tmp_path / "cache")
    bundle = load_bundle(tmp_path / "run" / "best")
    assert (bundle.kind, bundle.languages, bundle.longest_source) == ("translator", ("en", "de"), 40)
    assert bundle.model.encoder.get_parameter("E.weight") is bundle.model.decoder.get_parameter("E.weight")
    assert bundle.metrics["bleu"] == outcome.best
    assert "Translates `en` to `de`" in bundle.card
    watch = Watch()
    scores = evaluate(tmp_path / "run", parallel_folder, "val", progress=watch)
    expected = ["split", "count", "bleu", "chrf", "bleu_lc_tok", "seconds", "precision", "shortlist"]
    assert list(scores)[: len(expected)] == expected
    assert (scores["precision"], scores["shortlist"]) == ("float32", False)
    assert scores["count"] == 4
    assert scores["bleu"] == pytest.approx(outcome.best, abs=1.0)
    assert scores["signature"] == bundle.metrics["signature"]
    assert "tok:13a" in scores["signature"]
    assert watch.titles == ["translations"]
    with pytest.raises(DataError, match="has no split 'test' in en and de"):
        evaluate(tmp_path / "run", parallel_folder, "test")
    with pytest.raises(ConfigError, match="METEOR scores captions"):
        evaluate(tmp_path / "run", parallel_folder, "val", meteor=True)


@pytest.mark.parametrize(
    "tokenizer",
    [{"name": "words", "rule": "plain"}, {"name": "characters"}, {"name": "subwords", "model": "unigram", "size": 300}],
)
@pytest.mark.parametrize("joint", [True, False])
def test_a_translator_may_learn_from_any_pieces_joint_or_not(
    tiny_translation_recipe: Recipe, tmp_path: Path, tokenizer: dict[str, Any], joint: bool
) -> None:
    values = tiny_translation_recipe.model_dump(mode="json")
    values["data"] |= {"codec": tokenizer, "joint": joint, "lengths": {"longest": 4, "overlong": "truncate"}}
    values["model"]["shared_embeddings"] = joint
    values["phases"] = [{"epochs": 1, "tokens": 120}]
    watch, folder = Watch(), tmp_path / "run"
    train(parse(Recipe, values, origin="the test"), folder, progress=watch, cache=tmp_path / "cache")
    assert any("cut short" in line for line in watch.lines)
    translator = load_bundle(folder / "best")
    assert (translator.source_tokenizer is None) == joint
    assert translator.tokenizer.kind == tokenizer["name"]
    assert (folder / "source").exists() != joint
    assert Translator(translator).translate("A dog runs.").source == "A dog runs."


def test_one_matrix_of_embeddings_needs_one_tokenizer(tiny_translation_recipe: Recipe) -> None:
    values = tiny_translation_recipe.model_dump(mode="json")
    values["data"]["joint"] = False
    with pytest.raises(ConfigError, match="shared_embeddings needs one tokenizer"):
        parse(Recipe, values, origin="the test")


def test_nothing_to_learn_from_is_told(tiny_translation_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="18 too long: nothing to learn from"):
        train(tiny_translation_recipe, tmp_path / "run", ["data.lengths.longest=1"], cache=tmp_path / "cache")


def test_a_finished_run_says_so_and_does_nothing(tiny_recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe.model_dump(mode="json")))
    short = ["phases.0.epochs=1", "phases.1.epochs=1"]
    outcome = train(path, tmp_path / "run", short, cache=tmp_path / "cache")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*")}
    watch = Watch()
    assert train(path, tmp_path / "run", short, progress=watch, cache=tmp_path / "cache") == outcome
    assert "the run is done, cider" in watch.lines[0]
    assert watch.titles == []
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*")} == before
    with pytest.raises(ModelError, match="holds a run of another recipe; continue it with"):
        train(path, tmp_path / "run", ["seed=9"], cache=tmp_path / "cache")
    kept = read_recipe(tmp_path / "run" / "recipe.yaml")
    assert train(kept, tmp_path / "run", cache=tmp_path / "cache") == outcome


def test_a_run_goes_on_when_recipes_can_say_more(tiny_recipe: Recipe, tmp_path: Path) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    train(tiny_recipe, run, ["phases.0.epochs=1", "phases.1.epochs=1"], cache=cache)
    tensors, position, values = load_checkpoint(run / "checkpoint.safetensors")
    del values["compile"]  # as a version wrote it that did not know of it
    save_checkpoint(run / "checkpoint.safetensors", tensors, position, recipe=values)
    (run / "outcome.json").unlink()
    watch = Watch()
    train(read_recipe(run / "recipe.yaml"), run, progress=watch, cache=cache)
    assert watch.lines[0] == f"continuing {run} after 2 epochs"
    save_checkpoint(run / "checkpoint.safetensors", tensors, position, recipe={**values, "later": 1})
    (run / "outcome.json").unlink()
    with pytest.raises(ModelError, match="holds a run of another recipe"):
        train(read_recipe(run / "recipe.yaml"), run, cache=cache)


def test_two_processes_do_not_train_in_one_folder(tiny_recipe: Recipe, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")
    folder = tmp_path / "run"
    folder.mkdir()
    with (folder / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another process trains there"):
            train(tiny_recipe, folder, cache=tmp_path / "cache")
        assert [path.name for path in folder.iterdir()] == ["lock"], "the run of the other process is as it was"
    assert train(tiny_recipe, folder, ["phases.0.epochs=1"], cache=tmp_path / "cache").best_epoch >= 1


def test_a_run_that_has_not_begun_may_change_its_recipe(tiny_recipe: Recipe, tmp_path: Path) -> None:
    for seed in (1, 2):
        with pytest.raises(Interrupted, match=r"the same command continues it$"):
            train(tiny_recipe, tmp_path / "run", [f"seed={seed}"], progress=Watch(0), cache=tmp_path / "cache")
    assert read_recipe(tmp_path / "run" / "recipe.yaml").seed == 2
    assert not (tmp_path / "run" / "best").exists()
    with pytest.raises(ModelError, match="the run has no best model yet"):
        find_bundle(tmp_path / "run")


def test_recipes_that_cannot_be_used_are_refused_before_anything_is_written(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    for assignment, problem in (
        ("phases.0.epochs=0", "phases.0.epochs"),
        ("modle.bridge.dim=3", "modle is unknown, did you mean 'model'"),
        ("model.encoder.train_from=null", "the whole encoder is frozen"),
    ):
        with pytest.raises(ConfigError, match=problem):
            train(tiny_recipe, tmp_path / "run", [assignment])
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tiny_recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        train(tiny_recipe, tmp_path / "file" / "run")


@pytest.fixture
def two_sets(tiny_recipe: Recipe, captioned_folder: Path, tmp_path: Path) -> Recipe:
    """The tiny recipe with a second data set, crops drawn anew, an encoder that learns as a whole, and both losses."""
    folder = tmp_path / "everyday"
    (folder / "images").mkdir(parents=True)
    photos = sorted((captioned_folder / "Flicker8k_Dataset").iterdir())[:3]
    for photo in photos:
        (folder / "images" / photo.name).write_bytes(photo.read_bytes())
    images = [{"id": number, "file_name": photo.name} for number, photo in enumerate(photos)]
    for split, text in (("train", "a cat sleeps"), ("written", "the cat is red"), ("dev", "a cat is red")):
        notes = [{"image_id": image["id"], "caption": text} for image in images]
        (folder / f"captions_{split}.json").write_text(json.dumps({"images": images, "annotations": notes}))
    values = tiny_recipe.model_dump(mode="json")
    values["data"] |= {
        "crops": 0,
        "random_crops": {"area": 0.5, "colour": 0.2},
        "sets": [{"format": "coco", "folder": str(folder), "train": "train+written", "weight": 1.5}],
    }
    values["model"]["encoder"]["train_from"] = "stem"
    values["phases"][1]["self_critical"]["cross_entropy"] = 0.5
    return parse(Recipe, values, origin="the test")


def test_a_run_on_two_data_sets_is_judged_by_the_mean_of_their_scores(two_sets: Recipe, tmp_path: Path) -> None:
    train(two_sets, tmp_path / "run", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists(), "crops that are drawn anew are not kept"
    for line in epochs(tmp_path / "run"):
        assert line["cider"] == pytest.approx((line["photos/cider"] + line["everyday/cider"]) / 2)
        assert line["count"] == 6
    assert {"loss", "reward"} <= epochs(tmp_path / "run")[-1].keys()
    metrics = json.loads((tmp_path / "run" / "best" / "metrics.json").read_text())
    assert metrics["everyday/bleu4"] >= 0


def test_crops_and_repeated_photos_repeat_themselves_after_a_stop(
    two_sets: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(two_sets, whole)
    with pytest.raises(Interrupted):
        train(two_sets, parts, progress=Watch(8))
    train(two_sets, parts)
    ours, theirs = (load_file(folder / loop.CHECKPOINT) for folder in (parts, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_photo_comes_as_often_as_the_weight_of_its_data_set(two_sets: Recipe, tmp_path: Path) -> None:
    task = CaptionTask(two_sets.data, seed=0, cache=tmp_path)
    counts = Counter(
        image
        for epoch in range(60)
        for batch in task.batches(two_sets.phases[0], number=0, epoch=epoch)
        for image in batch
    )
    assert all(counts[image] == 60 for image in range(6))
    assert all(75 <= counts[image] <= 105 for image in range(6, 9))


def test_two_ways_to_crop_are_refused(two_sets: Recipe) -> None:
    values = two_sets.model_dump(mode="json")
    values["data"]["crops"] = 1
    with pytest.raises(ConfigError, match="crops and random_crops cannot go together"):
        parse(Recipe, values, origin="the test")
