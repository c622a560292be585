"""Training that begins from a trained model: its settings, its weights, and rows for words that it does not know.

Rows of a vocabulary (embeddings, and weights and biases of the output) go with their words. A new word begins at the
mean of the rows of all known words, beside a tenth of what it was initialised to: as likely as the average word, and
different from other new ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regard.config import parse
from regard.encoders.image import ImageEncoderSettings
from regard.errors import ConfigError
from regard.model import EncoderDecoder, ModelSettings
from regard.saved.bundle import Bundle, find_bundle, load_bundle, read_config
from regard.saved.tensors import load_tensors, named_tensors
from regard.text import Tokenizer, WordTokenizer
from regard.training.recipe import CaptionData, Recipe, TranslationData

NOISE = 0.1
"""How much of its random initialisation the row of a new word keeps."""


def with_settings_of_the_model(recipe: Recipe) -> Recipe:
    """The recipe with the settings of the model that it begins from; as it is where it begins from none.

    A saved model says neither what learns nor at which size to save what has learned: that stays the recipe's.

    Raises:
        ModelError: there is no such model.
        ConfigError: the model is for something else than the data, or does not fit the phases of the recipe.
    """
    if recipe.begin_from is None:
        return recipe
    config = read_config(find_bundle(recipe.begin_from))
    wanted = "captioner" if isinstance(recipe.data, CaptionData) else "translator"
    if config.kind != wanted:
        raise ConfigError(f"begin_from {recipe.begin_from!r}: is a {config.kind}", allowed=f"a {wanted} for these data")
    if isinstance(recipe.data, TranslationData):
        languages = [recipe.data.source, recipe.data.target]
        if config.languages != languages:
            raise ConfigError(
                f"begin_from {recipe.begin_from!r}: translates {' to '.join(config.languages or ())}",
                allowed=f"a model that translates {languages[0]} to {languages[1]}, or none",
            )
        data = recipe.data.model_copy(update={"joint": not config.own_source_codec})
        recipe = recipe.model_copy(update={"data": data})
    changed = recipe.model_copy(update={"model": _learning_as_in(recipe.model, config.model)})
    return parse(Recipe, changed.model_dump(mode="json"), origin=f"the recipe with the model {recipe.begin_from!r}")


def _learning_as_in(wanted: ModelSettings, stored: ModelSettings) -> ModelSettings:
    """A stored model whose encoder learns, and is saved, as another one's."""
    if not isinstance(wanted.encoder, ImageEncoderSettings) or not isinstance(stored.encoder, ImageEncoderSettings):
        return stored
    kept = {"train_from": wanted.encoder.train_from, "inference_size": wanted.encoder.inference_size}
    return stored.model_copy(update={"encoder": stored.encoder.model_copy(update=kept)})


def beginning(recipe: Recipe) -> Bundle | None:
    """The model that a recipe begins from; None where it begins from none.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    return None if recipe.begin_from is None else load_bundle(find_bundle(recipe.begin_from))


def begin(model: EncoderDecoder, bundle: Bundle, tokenizer: Tokenizer) -> None:
    """Copy the weights of ``bundle`` into ``model``, which has its settings and writes in ``tokenizer``.

    Raises:
        ModelError: the two do not fit together.
    """
    tensors = named_tensors(bundle.model)
    if (
        isinstance(tokenizer, WordTokenizer)
        and isinstance(bundle.tokenizer, WordTokenizer)
        and tokenizer.vocabulary != bundle.tokenizer.vocabulary
    ):
        former = [bundle.tokenizer.vocabulary.find(word) for word in tokenizer.vocabulary.entries]
        own = named_tensors(model)
        tensors = {
            name: _moved(tensor, own[name], former, bundle.tokenizer.size) if name in own else tensor
            for name, tensor in tensors.items()
        }
    load_tensors(model, tensors, origin=f"the model {bundle.kind}")


def _moved(tensor: Tensor, own: Tensor, former: list[int | None], size: int) -> Tensor:
    """The rows of a vocabulary of ``size`` where another one has them; other tensors as they are."""
    if tensor.shape[:1] != (size,) or own.shape[:1] != (len(former),):
        return tensor
    rows = tensor.mean(dim=0) + NOISE * own.detach().cpu()
    known = [place for place, row in enumerate(former) if row is not None]
    rows[torch.tensor(known)] = tensor[torch.tensor([row for row in former if row is not None])]
    return rows
