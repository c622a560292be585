"""A recipe: everything that makes a model, in one YAML file.

The phases run one after another on the same model. A recipe, its data and the library's version rebuild a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from regard.config import MAX_SEED, Settings, override, parse, read_yaml
from regard.data.encoding import LengthSettings
from regard.data.random_crops import CropSettings
from regard.decoders import DECODERS
from regard.decoders.attend import AttendSettings
from regard.encoders.image import ImageEncoderSettings
from regard.errors import ConfigError, shown, unknown_name
from regard.metrics.metric import TRANSLATION_METRICS, caption_score_names
from regard.model import ModelSettings
from regard.saved.storage import Precision
from regard.search import SearchOptions
from regard.text import SubwordSettings, TokenizerSettings
from regard.text.noise import NoiseSettings

"""The validation scores that a recipe may choose by, see :mod:`regard.metrics`."""


class CaptionSet(Settings):
    """Captioned images in one folder."""

    format: Literal["captions", "flickr8k", "coco"] = "captions"
    """Each means captioned images in any layout, which is found by looking."""
    folder: str
    """A folder or a table; see docs/data.md."""
    train: str = "train"
    """A split, or several joined by ``+``."""
    validation: str = "dev"
    weight: float = Field(1.0, gt=0, le=1000)
    """How often each training image comes in an epoch, on average."""
    terms: str = Field("", max_length=2000)
    """What the model card says of these data: who made them, and under which licences."""

    @property
    def name(self) -> str:
        """What its scores are called by: the name of the folder."""
        return Path(self.folder).name


class CaptionData(CaptionSet):
    """Where captioned images lie, and how each is varied in training."""

    sets: list[CaptionSet] = Field(default_factory=list, max_length=100)
    """Further data sets, trained on together with this one. Each is validated by itself, and a model is judged by the
    mean of its scores."""
    random_crops: CropSettings | None = None
    """Train on crops that are drawn anew in every epoch, from photos that are kept in memory. Frozen layers of the
    encoder run anew for each of them, which is for GPUs and for encoders that learn as a whole."""
    mirrored: bool = True
    """Also train on the mirror image of each photo, in a random half of the epochs."""
    crops: int = Field(0, ge=0, le=100)
    """Also train on so many random crops of each photo (90 % of each side), each mirrored or not."""
    minimum_count: int | None = Field(None, ge=1, le=1_000_000)
    """Words that occur less often in the training captions become ``<unk>``; None for what fits their number, see
    :func:`regard.text.word_tokenizer.fitting_minimum_count`."""
    strict: bool = False
    """Refuse data with problems; otherwise what cannot be used is left out, and counted."""
    max_words: int = Field(30, ge=1, le=1000)
    """Longer training captions are cut, and the number of cut ones is reported."""

    @model_validator(mode="after")
    def _one_way_to_crop(self) -> CaptionData:
        if self.crops and self.random_crops is not None:
            raise ConfigError("crops and random_crops cannot go together", remedy="leave one of them out")
        names = [each.name for each in self.all_sets]
        if len(set(names)) < len(names):
            raise ConfigError(f"two data sets have a folder called {max(names, key=names.count)!r}")
        return self

    @property
    def all_sets(self) -> list[CaptionSet]:
        """This data set and the further ones."""
        return [self, *self.sets]


class TranslationData(Settings):
    """Where parallel sentences lie, how they are cut into pieces, and which are learned from."""

    format: Literal["parallel"]
    folder: str
    """A folder or a table; see docs/data.md."""
    columns: list[str | int] | None = Field(None, min_length=2, max_length=2)
    """Of a table those of source and target, by name or counted from 1; None to find them."""
    strict: bool = False
    """Refuse a table with rows that hold no pair; otherwise they are left out, and counted."""
    source: str
    """Language code of what is read, such as ``en``."""
    target: str
    """Language code of what is written."""
    train: str = "train"
    validation: str = "val"
    codec: TokenizerSettings = SubwordSettings()
    """Subwords, words or characters."""
    joint: bool = True
    """One tokenizer, learned from both languages; otherwise each language has its own."""
    lengths: LengthSettings = LengthSettings(longest=80)
    """Which pairs are left out or cut short; their number is reported. A saved model reads as much at once."""
    subword_dropout: float = Field(0.0, ge=0, lt=1)
    """Cut both sides into other subwords in each epoch: p of BPE dropout, 1 − α of unigram sampling (see
    :mod:`regard.text.subword_regularisation`)."""
    noise: NoiseSettings = NoiseSettings()
    """The shares of training sources that are changed to what people type, anew in each epoch."""

    @property
    def augmented(self) -> bool:
        """Whether the pairs differ from epoch to epoch."""
        return bool(self.subword_dropout or self.noise.joined or any(self.noise.shares.values()))

    @model_validator(mode="after")
    def _two_languages(self) -> TranslationData:
        if self.source == self.target:
            raise ConfigError(
                f"data.source and data.target are both {self.source!r}",
                remedy="name the two languages; from a language to itself there is nothing to learn but copying",
            )
        return self

    @model_validator(mode="after")
    def _augmentable(self) -> TranslationData:
        if self.augmented and not isinstance(self.codec, SubwordSettings):
            raise ConfigError("data.subword_dropout and data.noise need subwords", remedy="set data.codec.name")
        if self.augmented and self.lengths.overlong == "truncate":
            raise ConfigError(
                "data.subword_dropout and data.noise do not fit pairs that are cut short",
                remedy="set data.lengths.overlong to drop",
            )
        return self


class OptimSettings(Settings):
    """AdamW (Loshchilov & Hutter 2019) with linear warm-up, then a schedule."""

    lr: float = Field(1e-3, gt=0, le=1e9)
    encoder_lr: float | None = Field(None, ge=0, le=1e9)
    """Of the encoder's trainable layers: 0 keeps them as they are; None means 0 for pictures, ``lr`` for sentences."""
    weight_decay: float = Field(0.01, ge=0, le=100)
    betas: list[Annotated[float, Field(ge=0, lt=1)]] = Field([0.9, 0.98], min_length=2, max_length=2)
    warmup: int = Field(150, ge=0, le=10_000_000)
    """Steps from 0 to the full rate."""
    schedule: Literal["cosine", "constant", "inverse_sqrt"] = "cosine"
    clip: float = Field(5.0, gt=0, le=1e6)
    """Greatest norm of the whole gradient."""


class SelfCritical(Settings):
    """Self-critical training on a mixture of CIDEr-D and BLEU-4, see :mod:`regard.training.rewards`."""

    samples: int = Field(5, ge=2, le=1000)
    """Sequences drawn for each input; the reward of each is measured against the mean of the others."""
    cider: float = Field(1.0, ge=0, le=1000)
    bleu: float = Field(0.0, ge=0, le=1000)
    cross_entropy: float = Field(0.0, ge=0, le=1000)
    """Weight of the cross-entropy of the given captions beside the reward, which holds the model to how people write:
    the reward alone drifts to endings that fit everywhere ("in a red", "on a leash")."""
    max_length: int = Field(20, ge=1, le=4000)
    """The most words or subwords of a drawn sequence, its end included."""

    @model_validator(mode="after")
    def _rewarding(self) -> SelfCritical:
        if not self.cider and not self.bleu:
            raise ConfigError("self_critical rewards nothing", allowed="cider or bleu above 0")
        return self


class Phase(Settings):
    """One stretch of training with one objective."""

    objective: Literal["cross_entropy", "self_critical"] = "cross_entropy"
    epochs: int = Field(ge=1, le=100_000)
    batch: int = Field(40, ge=1, le=100_000)
    """Inputs a step; an image with all its captions is one."""
    accumulate: int = Field(1, ge=1, le=100_000)
    """Take the inputs of a step in so many parts, one after another, whose gradients are added up: less memory, the
    same weights. Processes share the parts; where each takes equally many, dropout, too, is the same with any number of
    processes."""
    tokens: int | None = Field(None, ge=1, le=10_000_000)
    """In place of ``batch``, for translation: tokens a step at most on the longer side, padding included."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    doubly_stochastic: float = Field(0.0, ge=0, le=1000)
    """λ of the penalty Σ_i (1 − Σ_t α_ti)² (Xu 2015, eq. 14)."""
    attention_entropy: float = Field(0.0, ge=0, le=1000)
    """λ of the entropy of the weights of each word, which makes attention narrower."""
    attention_maps: float = Field(0.0, ge=0, le=1000)
    """λ of attention correctness (Liu et al. 2017): the weights of words that the encoder names among its concepts are
    drawn to the class activation maps of these, see :func:`regard.training.losses.attention_correctness`."""
    retain_classes: float = Field(0.0, ge=0, le=1000)
    """λ of learning without forgetting (Li & Hoiem 2016): an encoder that names concepts and learns is kept at the
    class probabilities that its network had when the run began, see :mod:`regard.encoders.concepts`."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay of the running average of the weights, which is what is judged and kept; 0 for none."""
    patience: int | None = Field(None, ge=1, le=100_000)
    """Stop the phase after so many validations without a better score."""
    validate_every: int = Field(1, ge=1, le=100_000)
    """Search and score the validation data after every so many epochs, and after the last."""
    steps: int | None = Field(None, ge=1, le=1_000_000_000)
    """Take only so many steps of each epoch; None for all."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """In place of every dropout of the model that is above 0; None for the model's own."""
    subword_dropout: bool = True
    """Cut pairs into other subwords from epoch to epoch, where ``data.subword_dropout`` asks for it."""
    r_drop: float = Field(0.0, ge=0, le=1000)
    """α of R-Drop: each input is read twice, and the two predictions are drawn to each other (Liang et al. 2021)."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of matrix products; weights, sums and losses stay float32. float16 is for GPUs that have no bfloat16."""
    optim: OptimSettings = OptimSettings()
    self_critical: SelfCritical = SelfCritical()

    @property
    def penalties(self) -> list[str]:
        """The penalties on attention that are asked for, by name; they are taken over given captions."""
        names = ("doubly_stochastic", "attention_entropy", "attention_maps")
        return [name for name in names if getattr(self, name)]

    @model_validator(mode="after")
    def _penalties_fit(self) -> Phase:
        reads_given = self.objective == "cross_entropy" or self.self_critical.cross_entropy
        if self.penalties and not reads_given:
            raise ConfigError(
                f"{self.penalties[0]} is above 0, but self-critical training reads no given captions",
                remedy="set self_critical.cross_entropy above 0, or leave it out",
            )
        others = [*self.penalties, *["retain_classes"] * bool(self.retain_classes)]
        others = ["self_critical"] if self.objective == "self_critical" else others
        if self.r_drop and others:
            raise ConfigError(
                "r_drop goes with plain cross_entropy", remedy=f"leave out {' and '.join(others)}, or r_drop"
            )
        return self


class Recipe(Settings):
    """The whole file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)
    seed: int = Field(0, ge=0, le=MAX_SEED)
    data: Annotated[CaptionData | TranslationData, Field(discriminator="format")]
    model: ModelSettings
    phases: list[Phase] = Field(min_length=1, max_length=100)
    begin_from: str | None = None
    """A model that training begins from, by name or folder, instead of from random numbers. Its settings take the place
    of ``model``, of which ``encoder.train_from`` and ``encoder.inference_size`` stay. A captioner learns the words of
    the data that it does not know; a translator keeps its pieces."""
    keep_words: bool = True
    """With ``begin_from``, whether a captioner keeps words that the data do not hold."""
    surpass: float = Field(0.0, ge=0, le=100)
    """With ``begin_from``, by how much the score must exceed that of the model to begin from until anything else is the
    best: of few validation inputs a smaller gain is chance (the one-standard-error rule of Breiman et al. 1984)."""
    metric: str = ""
    """The validation score that chooses the best epoch, by its name in :data:`regard.metrics.metric.CAPTION_METRICS` or
    ``TRANSLATION_METRICS``; empty for ``cider`` (captions) or ``bleu`` (translations)."""
    search: SearchOptions = SearchOptions()
    """How captions are searched in validation, and afterwards by default."""
    stored: Precision = "float16"
    """How the best model is stored."""
    compile: bool = False
    """Train with loops that are compiled for this processor, which takes a second and a C++ compiler; without one
    training says so and goes on. The last digits are not the same with and without, so where a recipe asks for them
    they depend on what is installed, too; a run that must give the same bits on other machines leaves them off."""

    @property
    def judged_by(self) -> str:
        """The name of the score that chooses the best epoch."""
        return self.metric or self.metrics[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores that validation gives, the usual one to choose by first."""
        if not isinstance(self.data, CaptionData):
            return tuple(TRANSLATION_METRICS)
        usual = ("cider", "bleu4")
        return (*usual, *(name for name in caption_score_names() if name not in usual))

    @model_validator(mode="before")
    @classmethod
    def _weights_of_a_model(cls, values: Any) -> Any:
        model = values.get("model") if isinstance(values, dict) else None
        if isinstance(model, dict) and "weights" in model:
            raise ConfigError(
                f"model.weights: {shown(model['weights'])} is no setting of the model",
                remedy="begin from a trained model with --from NAME, or begin_from: NAME in the recipe",
            )
        return values

    @model_validator(mode="after")
    def _metric_is_measured(self) -> Recipe:
        if self.judged_by not in self.metrics:
            raise unknown_name("metric", self.metric, self.metrics)
        return self

    @model_validator(mode="after")
    def _agree(self) -> Recipe:
        encoder = self.model.encoder
        pictures = isinstance(encoder, ImageEncoderSettings)
        if pictures != isinstance(self.data, CaptionData):
            raise ConfigError(
                f"data of format {self.data.format!r} cannot be read by the encoder {encoder.name!r}",
                allowed="an image network for captions; recurrent or transformer for translation",
            )
        if isinstance(self.data, TranslationData) and self.model.shared_embeddings and not self.data.joint:
            raise ConfigError("model.shared_embeddings needs one tokenizer for both languages", remedy="set data.joint")
        if any((phase.optim.encoder_lr or 0) > 0 for phase in self.phases) and not self._encoder_can_learn:
            raise ConfigError(
                "optim.encoder_lr is above 0, but the whole encoder is frozen",
                remedy="set model.encoder.train_from to the first layer that shall train",
            )
        return self

    @model_validator(mode="after")
    def _attention_learns(self) -> Recipe:
        decoder = self.model.decoder
        penalised = next((phase.penalties[0] for phase in self.phases if phase.penalties), None)
        if penalised and not DECODERS[decoder.name].attends:
            raise ConfigError(
                f"{penalised} is above 0, but the decoder {decoder.name!r} has no attention",
                remedy="leave it out, or choose another decoder",
            )
        if any(phase.attention_maps for phase in self.phases) and not self._names_concepts:
            raise ConfigError(
                "attention_maps is above 0, but the encoder names no concepts",
                remedy="set model.encoder.concepts, or leave attention_maps out",
            )
        hard = isinstance(decoder, AttendSettings) and decoder.kind == "hard"
        if hard and any(phase.r_drop or phase.objective == "self_critical" for phase in self.phases):
            raise ConfigError(
                "attention of kind 'hard' learns where to look by cross_entropy without r_drop only",
                remedy="leave out self_critical and r_drop, or set model.decoder.kind to soft",
            )
        return self

    @model_validator(mode="after")
    def _classes_can_be_retained(self) -> Recipe:
        retaining = [phase for phase in self.phases if phase.retain_classes]
        if retaining and not (self._names_concepts and self._encoder_can_learn):
            raise ConfigError(
                "retain_classes is above 0, but the encoder names no concepts or does not learn",
                remedy="set model.encoder.concepts and model.encoder.train_from, or leave retain_classes out",
            )
        if not all(phase.optim.encoder_lr for phase in retaining):
            raise ConfigError(
                "retain_classes is above 0 in a phase that leaves the encoder as it is",
                remedy="set optim.encoder_lr of that phase above 0, or leave retain_classes out of it",
            )
        return self

    @property
    def _names_concepts(self) -> bool:
        encoder = self.model.encoder
        return isinstance(encoder, ImageEncoderSettings) and encoder.concepts > 0

    @property
    def _encoder_can_learn(self) -> bool:
        encoder = self.model.encoder
        return not isinstance(encoder, ImageEncoderSettings) or encoder.train_from is not None


def goes_on(stored: Recipe, asked: Recipe) -> bool:
    """Whether a run of one recipe may go on as one of the other: the same, or with more epochs in the last phase."""
    last, wanted = stored.phases[-1], asked.phases[-1]
    longer = asked.model_copy(
        update={"phases": [*asked.phases[:-1], wanted.model_copy(update={"epochs": last.epochs})]}
    )
    return wanted.epochs >= last.epochs and longer == stored


def read_recipe(path: Path, assignments: list[str] | None = None) -> Recipe:
    """Read a recipe and apply ``--set`` assignments.

    Raises:
        ConfigError: the file or an assignment cannot be used; all problems in one line.
    """
    values: dict[str, Any] = override(read_yaml(path), assignments or [])
    return parse(Recipe, values, origin=str(path))
