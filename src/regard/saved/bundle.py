"""A saved model: one folder, nothing in it is ever executed.

    config.json           kind, settings of the model, defaults of the search, languages, dtype of the weights
    weights.safetensors   the weights, in one of the dtypes of :mod:`regard.saved.storage`
    vocabulary.json       or tokenizer.json: the tokenizer of the target; of the source as well, unless the folder
                          source/ holds another one
    lexicon.safetensors   of a translator that has one: which pieces may become which (see :mod:`regard.text.lexicon`)
    source_words.json     of a translator that has them: the words it learned from (see :mod:`regard.text.source_words`)
    README.md             the model card
    calibration.json      of a captioner that has one: how sure its words and captions are
    metrics.json          scores on validation data, with their signature
    manifest.json         checksums of the other files (see :mod:`regard.saved.manifest`)

The encoder of a captioner is stored for use: batch norms folded into the convolutions, no classifier, nothing that
learns.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from safetensors.torch import save_file
from torch import Tensor

from regard.config import Settings, parse
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.errors import ConfigError, ModelError, RegardError
from regard.files import new_folder, read_json_file, read_text_file, resolve_folder, write_json_file
from regard.model import EncoderDecoder, ModelSettings
from regard.saved.manifest import check_manifest, write_manifest
from regard.saved.storage import Precision, check_headers, pack, read_tensors, unpack
from regard.saved.tensors import load_tensors, named_tensors, shapes_only
from regard.search import SearchOptions
from regard.text.loading import load_tokenizer
from regard.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from regard.evidence.calibration import Calibration
    from regard.text.lexicon import Lexicon
    from regard.text.source_words import SourceWords

VERSION = 1
CALIBRATION = "calibration.json"
ENCODER_FILE, STEP_FILE = "encoder.onnx", "decoder.onnx"
"""The graphs of an exported model, in place of its weights."""
CONFIG, WEIGHTS, CARD, METRICS = "config.json", "weights.safetensors", "README.md", "metrics.json"
SOURCE = "source"
"""The folder of the source's tokenizer, where it is not the target's."""
BEST = "best"
"""The folder of the best model inside the folder of a run."""
SHIPPED = Path(__file__).parents[1] / "models"
"""Where the models lie that ship with the package, one folder each."""


class BundleConfig(Settings):
    """What ``config.json`` holds."""

    version: Literal[1] = 1
    kind: Literal["captioner", "translator"]
    languages: list[str] | None = Field(default=None, min_length=2, max_length=2)
    """Of a translator: what it reads and what it writes, such as ``en`` and ``de``."""
    longest_source: int | None = Field(default=None, ge=1, le=4000)
    """Of a translator: how many pieces of a source it reads at once, ``<eos>`` not counted."""
    own_source_codec: bool = False
    precision: Precision
    model: ModelSettings
    search: SearchOptions

    @model_validator(mode="after")
    def _agree(self) -> BundleConfig:
        pictures = isinstance(self.model.encoder, ImageEncoderSettings)
        if pictures != (self.kind == "captioner") or pictures != (self.languages is None):
            raise PydanticCustomError("kind", "the kind, the encoder and the languages do not fit together")
        return self


@dataclass(frozen=True)
class Bundle:
    """A model with all that it takes to use it.

    Attributes:
        model: in evaluation mode after :func:`load_bundle`.
        tokenizer: of what the model writes.
        search: how it searches by default.
        source_tokenizer: of what a translator reads; None where it is ``tokenizer``.
        languages: of a translator, source and target.
        longest_source: of a translator, how many pieces it reads at once; None for no limit.
        lexicon: of a translator, what its pieces may become, to choose a shortlist from; None where it has none.
        source_words: of a translator, the words of the sources that it learned from; None where it has none.
        calibration: of a captioner that has one, how sure its words and captions are.
        card: the model card, Markdown.
        metrics: scores by name, with their signature.
    """

    model: EncoderDecoder
    tokenizer: Tokenizer
    search: SearchOptions
    source_tokenizer: Tokenizer | None = None
    languages: tuple[str, str] | None = None
    longest_source: int | None = None
    lexicon: Lexicon | None = None
    source_words: SourceWords | None = None
    calibration: Calibration | None = None
    card: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["captioner", "translator"]:
        """What the model is for."""
        return "captioner" if isinstance(self.model.encoder, ImageEncoder) else "translator"

    @property
    def num_parameters(self) -> int:
        """How many numbers the model learned; a matrix that is used twice counts once."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def save_bundle(bundle: Bundle, folder: Path, *, precision: Precision = "float16") -> Path:
    """Write a bundle to ``folder``, in place of what lies there.

    Raises:
        ModelError: the folder cannot be written, or lies where something else than a bundle is; or ``precision``
            cannot hold a number of the model.
    """
    if folder.exists() and not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: is there already and is no model", remedy="choose another folder")
    packed = pack(_stored_tensors(bundle.model), precision)
    with new_folder(folder) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in packed.items()}, temporary / WEIGHTS)
        write_texts(bundle, temporary, precision=precision)
        write_manifest(temporary)
    return folder


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle; no other file is needed, no network, and nothing is unpickled.

    Raises:
        ModelError: a file is missing, damaged, no regular file, of another version, not the one that was saved, or does
            not fit the others.
    """
    folder = resolve_folder(folder)
    weights = folder / WEIGHTS

    def build(settings: ModelSettings, writes: int, reads: int) -> EncoderDecoder:
        twin = build_model(settings, writes=writes, reads=reads, origin=folder, allocate=False)
        check_headers(weights, named_tensors(twin))
        model = build_model(settings, writes=writes, reads=reads, origin=folder)
        load_tensors(model, unpack(read_tensors(weights), origin=str(weights)), origin=str(weights))
        if model.concepts is not None:
            model.concepts.check(writes, origin=str(weights))
        return model.eval().requires_grad_(False)

    return read_texts(folder, build)


def read_texts(folder: Path, build: Callable[[ModelSettings, int, int], EncoderDecoder]) -> Bundle:
    """A bundle from all of its files but those of the model itself.

    Args:
        folder: holds them.
        build: makes the model from its settings and from the sizes of the vocabularies that it writes and reads, 0 for
            pictures.

    Raises:
        ModelError: a file is missing, damaged, of another version, or does not fit the others.
    """
    with _one_error(folder):
        check_manifest(folder)
        config = read_config(folder)
        tokenizer = load_tokenizer(folder)
        source_tokenizer = load_tokenizer(folder / SOURCE) if config.own_source_codec else None
        reads = 0 if config.kind == "captioner" else (source_tokenizer or tokenizer).size
        model = build(config.model, tokenizer.size, reads)
        lexicon, source_words = _read_lists(folder, reads=reads, writes=tokenizer.size) if reads else (None, None)
        card = folder / CARD
        return Bundle(
            model=model,
            tokenizer=tokenizer,
            search=config.search,
            source_tokenizer=source_tokenizer,
            languages=None if config.languages is None else (config.languages[0], config.languages[1]),
            longest_source=config.longest_source,
            lexicon=lexicon,
            source_words=source_words,
            calibration=_read_calibration(folder, model) if config.kind == "captioner" else None,
            card=read_text_file(card) if os.path.lexists(card) else "",
            metrics=read_metrics(folder),
        )


def _read_lists(folder: Path, *, reads: int, writes: int) -> tuple[Lexicon | None, SourceWords | None]:
    """What only translators have."""
    from regard.text.lexicon import Lexicon
    from regard.text.source_words import SourceWords

    return Lexicon.load(folder, reads=reads, writes=writes), SourceWords.load(folder)


@contextmanager
def _one_error(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged file of a saved model makes a library raise into one error about its folder."""
    try:
        yield
    except RegardError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error!s:.200}"
        raise ModelError(f"{folder}: is damaged and cannot be loaded ({reason})") from error


def read_config(folder: Path) -> BundleConfig:
    """The settings of a bundle, without its weights.

    Raises:
        ModelError: ``config.json`` is missing, damaged, or of another version.
    """
    path = resolve_folder(folder) / CONFIG
    with _one_error(folder):
        values = read_json_file(path, versions=[VERSION])
        try:
            return parse(BundleConfig, values, origin=str(path))
        except ConfigError as error:
            raise ModelError(str(error)) from None


def read_metrics(folder: Path) -> dict[str, Any]:
    """The scores of a bundle; empty where it has none.

    Raises:
        ModelError: ``metrics.json`` is damaged.
    """
    path = resolve_folder(folder) / METRICS
    if not os.path.lexists(path):
        return {}
    values = read_json_file(path, versions=[VERSION])
    return {name: value for name, value in values.items() if name != "version"}


def _read_calibration(folder: Path, model: EncoderDecoder) -> Calibration | None:
    """How sure a captioner is, where that was measured.

    Raises:
        ModelError: ``calibration.json`` is damaged, or of another model.
    """
    path = folder / CALIBRATION
    if not os.path.lexists(path):
        return None
    from regard.evidence.calibration import CAPTION_FEATURES, WORD_FEATURES, Calibration

    values = read_json_file(path, versions=[VERSION])
    calibration = Calibration.from_dict(values, known=(WORD_FEATURES, CAPTION_FEATURES), origin=str(path))
    if len(calibration.centre) != model.annotation_dim:
        sizes = f"{len(calibration.centre)} numbers, and an annotation has {model.annotation_dim}"
        raise ModelError(f"{path}: is of another model (its centre has {sizes})")
    return calibration


def shipped_models() -> list[str]:
    """The names of the models that ship with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def is_exported(folder: Path) -> bool:
    """Whether an exported model lies there."""
    return (resolve_folder(folder) / STEP_FILE).is_file()


def find_bundle(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a model: a bundle, a run folder with a best model, or a model that ships with the package.

    Raises:
        ModelError: it is none of these; the message lists the models that ship, and the nearest name.
    """
    path = Path(name_or_path)
    try:
        for folder in (path, path / BEST):
            if (resolve_folder(folder) / CONFIG).is_file():
                return folder
    except OSError as error:  # such as a name that is too long, or a folder that may not be entered
        raise ModelError(f"{path!s:.200}: cannot be read ({error.strerror})") from None
    names = shipped_models()
    name = os.fsdecode(name_or_path)
    if name in names:
        return SHIPPED / name
    nearest = difflib.get_close_matches(name, names, n=1)
    raise ModelError(
        f"{name}: {_why_not(path)}",
        allowed=", ".join([*names, "the folder of a saved model or of a training run"]),
        remedy=f"did you mean {nearest[0]!r}?" if nearest else "",
    )


def _why_not(path: Path) -> str:
    if path.is_file():
        return "is a file, not the folder of a model"
    if not path.is_dir():
        return "no such model"
    return "the run has no best model yet" if (path / "recipe.yaml").exists() else f"the folder holds no {CONFIG}"


def stored_settings(model: EncoderDecoder) -> ModelSettings:
    """The settings of the model as it is stored."""
    settings = model.settings
    if not isinstance(settings.encoder, ImageEncoderSettings):
        return settings
    size = settings.encoder.inference_size or settings.encoder.size
    as_stored = {"weights": None, "folded": True, "train_from": None, "size": size, "inference_size": None}
    return settings.model_copy(update={"encoder": settings.encoder.model_copy(update=as_stored)})


def _stored_tensors(model: EncoderDecoder) -> dict[str, Tensor]:
    """The numbers of the model as it is stored."""
    tensors = named_tensors(model)
    if isinstance(model.encoder, ImageEncoder):
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder.")}
        tensors |= {f"encoder.{name}": tensor for name, tensor in named_tensors(model.encoder.fused()).items()}
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def write_texts(bundle: Bundle, folder: Path, *, precision: Precision) -> None:
    """Write all files of a bundle but those of the model itself, which keep its numbers in this form."""
    config = BundleConfig(
        kind=bundle.kind,
        languages=None if bundle.languages is None else list(bundle.languages),
        longest_source=bundle.longest_source,
        own_source_codec=bundle.source_tokenizer is not None,
        precision=precision,
        model=stored_settings(bundle.model),
        search=bundle.search,
    )
    write_json_file(folder / CONFIG, config.model_dump(mode="json"))
    write_json_file(folder / METRICS, {"version": VERSION, **bundle.metrics})
    (folder / CARD).write_text(bundle.card, encoding="utf-8")
    bundle.tokenizer.save(folder)
    if bundle.source_tokenizer is not None:
        (folder / SOURCE).mkdir()
        bundle.source_tokenizer.save(folder / SOURCE)
    if bundle.lexicon is not None:
        bundle.lexicon.save(folder)
    if bundle.calibration is not None:
        write_json_file(folder / CALIBRATION, {"version": VERSION, **bundle.calibration.to_dict()})
    if bundle.source_words is not None:
        bundle.source_words.save(folder)


def build_model(
    settings: ModelSettings, *, writes: int, reads: int, origin: Path, allocate: bool = True
) -> EncoderDecoder:
    """A model with arbitrary numbers; the caller's random numbers are left as they were.

    Args:
        settings: of a saved model.
        writes, reads: sizes of the vocabularies of its decoder and of its encoder, 0 for pictures.
        origin: the folder that it is saved in.
        allocate: False for a model on the device meta, which has the shapes alone.

    Raises:
        ModelError: there is no such model.
    """
    if isinstance(settings.encoder, ImageEncoderSettings) and settings.encoder.weights is not None:
        raise ModelError(f"{origin / CONFIG}: names weights outside the folder", remedy="set them to null")
    try:
        with ExitStack() as around:
            around.enter_context(torch.random.fork_rng(devices=[]))
            if not allocate:
                around.enter_context(shapes_only())
            return EncoderDecoder(settings, vocabulary_size=writes, source_vocabulary_size=reads)
    except ConfigError as error:
        raise ModelError(f"{origin / CONFIG}: {error}") from None
    except (MemoryError, RuntimeError) as error:
        # what torch raises for sizes that no machine has room for
        reason = str(error).splitlines()[0] if str(error) else "out of memory"
        raise ModelError(f"{origin / CONFIG}: the model cannot be built ({reason:.120})") from None
