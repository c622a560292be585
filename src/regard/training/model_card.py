"""The model card of a run: what the model is, what it learned from, how good it is, and where its limits lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from regard.encoders.image import ImageEncoderSettings
from regard.saved.bundle import Bundle
from regard.text import WordTokenizer
from regard.training.recipe import CaptionData, CaptionSet, Recipe

_ENGLISH = frozenset(["a", "on"])
"""Words that no English captions go without, and no other captions have together."""

_CAPTION_LIMITS = """\
- It describes everyday scenes like those it learned from; of anything else it says what looks nearest.
- It names people, sexes and ages by looks, and is often wrong. Do not use it to judge people.
- It says the words that its data say often. What is rare in them, it does not say.
- Where it looked is where the numbers came from, not a proof of why."""

_TRANSLATION_LIMITS = """\
- It translates sentences like those it learned from; the further away a text, the freer its invention.
- It reads one sentence at a time, and longer texts in parts.
- Where a language marks sex or formality and the other does not, it guesses.
- The alignment is where the numbers came from, not a dictionary."""


def model_card(recipe: Recipe, bundle: Bundle) -> str:
    """A model card in Markdown, for the best model of a run.

    Args:
        recipe: of the run.
        bundle: the model, with the scores that it reached on validation data.
    """
    data = recipe.data
    if isinstance(data, CaptionData):
        words = set(bundle.tokenizer.vocabulary.entries) if isinstance(bundle.tokenizer, WordTokenizer) else set()
        language = "English" if words >= _ENGLISH else "the language of its captions"
        purpose, limits = f"Describes pictures in {language}", _CAPTION_LIMITS
    else:
        purpose, limits = f"Translates `{data.source}` to `{data.target}`", _TRANSLATION_LIMITS
    return f"""\
# {recipe.name}

{purpose}. Trained with regard: encoder `{recipe.model.encoder.name}`, decoder `{recipe.model.decoder.name}`,
{bundle.num_parameters:,} parameters, {bundle.tokenizer.size:,} {bundle.tokenizer.kind}.

## Data

{_data_text(recipe)}

The terms of these data{_weights_note(recipe)} apply to what is done with the model.

## Scores

{_table(bundle.metrics)}

## Limits

{limits}

## Recipe

```yaml
{_recipe_text(recipe)}
```
"""


def _data_text(recipe: Recipe) -> str:
    """What the model learned from, what it was chosen by, and what is known of these data."""
    sets = recipe.data.all_sets if isinstance(recipe.data, CaptionData) else [recipe.data]
    learned = ", and on ".join(f"the split `{each.train}` of `{Path(each.folder).name}`" for each in sets)
    judged = " and ".join(dict.fromkeys(f"`{each.validation}`" for each in sets))
    place = "its split" if len(sets) == 1 else "the mean over their splits"
    terms = [f"- `{each.name}`: {each.terms}" for each in sets if isinstance(each, CaptionSet) and each.terms]
    chosen = f"Trained on {learned}, and chosen by `{recipe.judged_by}` on {place} {judged}."
    return "\n\n".join([chosen, *(["\n".join(terms)] if terms else [])])


def _weights_note(recipe: Recipe) -> str:
    encoder = recipe.model.encoder
    pretrained = isinstance(encoder, ImageEncoderSettings) and encoder.weights is not None
    return ", and of the ImageNet weights that the encoder began with," if pretrained else ""


def _recipe_text(recipe: Recipe) -> str:
    """What the recipe says besides its defaults; where the data lay on the machine of the run is nobody's business."""
    brief = recipe.model_dump(mode="json", exclude_defaults=True)
    values = _named(brief, recipe.model_dump(mode="json"))
    for each in (values["data"], *values["data"].get("sets", [])):
        each["folder"] = Path(each["folder"]).name
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True).strip()


def _named(brief: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    """``brief`` with what decides of which kind each part is, though that may be a default too."""
    return {
        **{key: full[key] for key in ("name", "format") if key in full},
        **{key: _named(value, full[key]) if isinstance(value, dict) else value for key, value in brief.items()},
    }


def _table(metrics: dict[str, Any]) -> str:
    """The scores as a table, and below it how they were computed."""
    rows = ["| score | value |", "|---|---:|"]
    notes = []
    for name, value in metrics.items():
        if isinstance(value, str):
            notes.append(f"- {name.replace('_', ' ')}: `{value}`")
        else:
            rows.append(f"| {name} | {value:.2f} |" if isinstance(value, float) else f"| {name} | {value} |")
    return "\n".join([*rows, "", *notes])
