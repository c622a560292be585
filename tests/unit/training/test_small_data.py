"""What keeps a training on little or flawed data useful: warm-up that ends, more epochs, a stop where it diverges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from regard.config import parse
from regard.encoders.image import ImageEncoderSettings
from regard.errors import ConfigError, DataError, DivergedError, ImageError, ModelError
from regard.model import EncoderDecoder
from regard.pipeline import load_captioner
from regard.saved.bundle import Bundle, find_bundle, load_bundle, save_bundle
from regard.saved.tensors import named_tensors
from regard.text import load_tokenizer
from regard.training.begin import begin, with_settings_of_the_model
from regard.training.captions import CaptionTask
from regard.training.optimizer import rate_factor, warmup_steps
from regard.training.recipe import CaptionData, OptimSettings, Recipe, goes_on
from regard.training.run import train


class Lines:
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        """Nothing to keep."""

    def advance(self, count: int, note: str = "") -> None:
        """Nothing to keep."""

    def log(self, line: str) -> None:
        self.lines.append(line)

    def said(self, part: str) -> bool:
        return any(part in line for line in self.lines)


def one_phase(recipe: Recipe, **changes: object) -> Recipe:
    phase = recipe.phases[0].model_copy(update={"average": 0.0, **changes})
    return recipe.model_copy(update={"phases": [phase]})


@pytest.mark.parametrize(("total", "expected"), [(20, 4), (1, 0), (10_000, 150)])
def test_warm_up_takes_a_fifth_of_the_steps_at_most(total: int, expected: int) -> None:
    settings = OptimSettings(schedule="constant")
    assert warmup_steps(settings, total) == expected
    rates = [rate_factor(settings, step=step, total=total) for step in range(total)]
    assert max(rates) == 1
    assert rates == sorted(rates)


def test_a_shortened_warm_up_and_few_steps_are_said(tiny_recipe: Recipe, tmp_path: Path) -> None:
    progress = Lines()
    settings = tiny_recipe.phases[0].optim.model_copy(update={"warmup": 150})
    train(
        one_phase(tiny_recipe, epochs=2, optim=settings), tmp_path / "run", progress=progress, cache=tmp_path / "cache"
    )
    assert progress.said("warm-up takes 1 steps, not 150: at most 20% of the 6 of the phase")
    assert progress.said("only 6 steps, which teach a new model little: raise phases.0.epochs (2)")
    assert progress.said("learns from 6 images with 18 captions; 0.0% of the words are unknown")
    assert progress.said("judged by 3 images with 9 captions")


@pytest.mark.parametrize("rate", [1e5, 1e8])
def test_a_run_that_diverges_stops_with_the_setting_to_lower(tiny_recipe: Recipe, tmp_path: Path, rate: float) -> None:
    optim = OptimSettings(lr=rate, warmup=0, clip=1000.0)
    recipe = one_phase(tiny_recipe, epochs=9, optim=optim)
    with pytest.raises(
        DivergedError, match=r"batch \d+ of epoch 1; lower phases.0.optim.lr .*--set phases.0.optim.lr="
    ) as e:
        train(recipe, tmp_path / "run", cache=tmp_path / "cache")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_finished_run_goes_on_with_more_epochs_as_if_it_had_been_asked_for_them(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    settings = tiny_recipe.phases[0].optim.model_copy(update={"schedule": "constant"})
    short, long = (one_phase(tiny_recipe, epochs=epochs, optim=settings) for epochs in (1, 3))
    for recipe in (short, long):
        train(recipe, tmp_path / "twice", cache=tmp_path / "cache")
    outcome = train(long, tmp_path / "once", cache=tmp_path / "cache")
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("twice", "once")]
    assert [json.loads(line)["cider"] for line in logs[0]] == [json.loads(line)["cider"] for line in logs[1]]
    assert yaml.safe_load((tmp_path / "twice" / "recipe.yaml").read_text())["phases"][0]["epochs"] == 3
    assert train(long, tmp_path / "twice").best == outcome.best


def test_only_more_epochs_of_the_last_phase_go_on(tiny_recipe: Recipe, tmp_path: Path) -> None:
    first, last = tiny_recipe.phases
    longer = tiny_recipe.model_copy(update={"phases": [first, last.model_copy(update={"epochs": 9})]})
    assert goes_on(tiny_recipe, longer)
    assert not goes_on(longer, tiny_recipe)
    assert not goes_on(tiny_recipe, tiny_recipe.model_copy(update={"seed": 7}))
    other = tiny_recipe.model_copy(update={"phases": [first.model_copy(update={"epochs": 9}), last]})
    assert not goes_on(tiny_recipe, other)


def test_an_image_that_cannot_be_decoded_is_left_out_and_counted(
    tiny_recipe: Recipe, captioned_folder: Path, tmp_path: Path
) -> None:
    path = captioned_folder / "Flicker8k_Dataset" / "3.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    progress = Lines()
    train(one_phase(tiny_recipe, epochs=1), tmp_path / "run", progress=progress, cache=tmp_path / "cache")
    assert progress.said("learns from 5 images")
    assert progress.said("left out: 1 (data.strict refuses them; regard data check shows all): ")
    strict = tiny_recipe.data.model_copy(update={"strict": True})
    with pytest.raises(DataError, match=r"'3.jpg' is .*"):
        train(tiny_recipe.model_copy(update={"data": strict}), tmp_path / "strict", cache=tmp_path / "cache")
    # its end is there, and what is before it is no picture
    path.write_bytes(whole[:2] + b"\xff\x00" * 40 + whole[-2:])
    progress = Lines()
    train(one_phase(tiny_recipe, epochs=1), tmp_path / "again", progress=progress, cache=tmp_path / "cache")
    assert progress.said("learns from 5 images")
    assert progress.said("left out: 1 images that cannot be decoded, such as ")
    with pytest.raises(ImageError):
        train(tiny_recipe.model_copy(update={"data": strict}), tmp_path / "strict again", cache=tmp_path / "cache")


def test_the_baseline_says_the_commonest_caption_of_every_image(tiny_recipe: Recipe, tmp_path: Path) -> None:
    assert isinstance(tiny_recipe.data, CaptionData)
    task = CaptionTask(tiny_recipe.data, seed=0, cache=tmp_path)
    said, score = task.baseline("bleu1")
    assert said == "two dogs sit near a car"
    assert 0 < score < 100


@pytest.mark.parametrize(("surpass", "stays"), [(0.0, False), (100.0, True)])
def test_a_gain_that_may_be_chance_leaves_the_model_that_it_began_from(
    trained: str, tiny_recipe: Recipe, tmp_path: Path, surpass: float, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([10.0, 12.0, 11.0])
    monkeypatch.setattr(CaptionTask, "validate", lambda *_: {"cider": next(scores)})
    recipe = one_phase(tiny_recipe, epochs=2).model_copy(update={"begin_from": trained, "surpass": surpass})
    progress = Lines()
    outcome = train(recipe, tmp_path / "run", progress=progress, cache=tmp_path / "cache")
    assert (outcome.best, outcome.best_epoch) == ((10.0, 0) if stays else (12.0, 1))
    assert progress.said("nothing was better than") == stays
    before, after = (named_tensors(load_bundle(find_bundle(path)).model) for path in (trained, tmp_path / "run"))
    assert all(torch.allclose(before[name].float(), after[name].float(), atol=1e-2) for name in before) == stays
    assert load_captioner(tmp_path / "run").bundle.metrics["cider"] == outcome.best


@pytest.fixture
def trained(tiny_captioner: Bundle, tmp_path: Path) -> str:
    return str(save_bundle(tiny_captioner, tmp_path / "trained", precision="float32"))


def test_a_trained_model_learns_the_words_that_it_does_not_know(
    trained: str, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    token_file = Path(tiny_recipe.data.folder) / "Flickr8k.token.txt"
    token_file.write_text(token_file.read_text().replace("a dog", "a zebra"))
    recipe = one_phase(tiny_recipe, epochs=1).model_copy(update={"begin_from": trained})
    progress = Lines()
    train(recipe, tmp_path / "run", progress=progress, cache=tmp_path / "cache")
    assert progress.said("begins with cider")
    known, learned = (load_tokenizer(path) for path in (Path(trained), tmp_path / "run"))
    assert learned.size == known.size + 1
    assert learned.decode([known.size]) == "zebra"
    assert load_captioner(tmp_path / "run").caption(next(Path(tiny_recipe.data.folder).rglob("*.jpg"))).text
    dropped = recipe.model_copy(update={"keep_words": False})
    train(dropped, tmp_path / "dropped", cache=tmp_path / "cache")
    assert load_tokenizer(tmp_path / "dropped").size == known.size, "a dog has gone, a zebra has come"
    # without data the best model is the one that it began from
    assert (tmp_path / "run" / "best" / "README.md").exists()


def test_rows_of_words_go_with_their_words(trained: str, tiny_captioner: Bundle) -> None:
    from regard.text import WordTokenizer

    former = tiny_captioner.tokenizer
    assert isinstance(former, WordTokenizer)
    tokenizer = former.extended(["a zebra in a car"], keep_words=False)
    bundle = load_bundle(Path(trained))
    model = EncoderDecoder(bundle.model.settings, vocabulary_size=tokenizer.size)
    begin(model, bundle, tokenizer)
    old, new = named_tensors(tiny_captioner.model), named_tensors(model)
    name = "decoder.E.weight"
    for word in ("a", "car", "<eos>"):
        rows = former.vocabulary.find(word), tokenizer.vocabulary.find(word)
        torch.testing.assert_close(old[name][rows[0]], new[name][rows[1]])
    assert tokenizer.vocabulary.find("dog") is None
    torch.testing.assert_close(old["decoder.cell.weight_hh"], new["decoder.cell.weight_hh"])


def test_what_learns_of_a_trained_encoder_is_what_the_recipe_says(trained: str, tiny_recipe: Recipe) -> None:
    encoder = tiny_recipe.model.encoder.model_copy(update={"inference_size": 96})
    model = tiny_recipe.model.model_copy(update={"encoder": encoder})
    recipe = with_settings_of_the_model(tiny_recipe.model_copy(update={"begin_from": trained, "model": model}))
    assert isinstance(recipe.model.encoder, ImageEncoderSettings)
    assert (recipe.model.encoder.train_from, recipe.model.encoder.inference_size) == ("stage3", 96)
    bundle = load_bundle(Path(trained))
    begun = EncoderDecoder(recipe.model, vocabulary_size=bundle.tokenizer.size)
    begin(begun, bundle, bundle.tokenizer)
    learning = {name for name, parameter in begun.encoder.named_parameters() if parameter.requires_grad}
    assert learning
    own = named_tensors(bundle.model)
    for name in learning:
        torch.testing.assert_close(begun.encoder.get_parameter(name), own[f"encoder.{name}"])


def test_a_recipe_is_checked_again_with_the_model_that_it_begins_from(trained: str, tiny_recipe: Recipe) -> None:
    values = tiny_recipe.model_dump(mode="json")
    values["model"]["encoder"] |= {"layer": None, "pool": None, "train_from": "stage7", "concepts": 3}
    values["phases"][0] |= {"retain_classes": 0.5}
    recipe = parse(Recipe, values | {"begin_from": trained}, origin="the test")
    with pytest.raises(ConfigError, match="retain_classes is above 0, but the encoder names no concepts"):
        with_settings_of_the_model(recipe)


def test_a_model_for_something_else_is_refused(
    trained: str, tiny_recipe: Recipe, tiny_translation_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="is a captioner; allowed: a translator"):
        train(tiny_translation_recipe.model_copy(update={"begin_from": trained}), tmp_path / "run")
    data = tiny_translation_recipe.data.model_copy(update={"source": "de", "target": "en"})
    changes = {"begin_from": "multi30k-en-de", "data": data}
    with pytest.raises(ConfigError, match="translates en to de; allowed: a model that translates de to en"):
        train(tiny_translation_recipe.model_copy(update=changes), tmp_path / "run")
    with pytest.raises(ModelError, match="gone"):
        train(tiny_recipe.model_copy(update={"begin_from": "gone"}), tmp_path / "run")
