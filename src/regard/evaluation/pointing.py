"""The pointing game: attention weights of nouns against boxes that people drew around what they name.

    hit      the peak lies in a box of the noun's class or within 15 pixels of one, at COCO's own size of 480 pixels on
             the shorter side (the pointing game, Zhang et al. 2018, §4.1)
    inside   the share of the weights that lies in boxes of the class, each region counted by its overlap

This is measured of where the word points (:mod:`regard.pipeline.pointing`), all weight on the region there; of its
weights; and of weights that know nothing of the word: all on the middle of the photo, and uniform, whose share inside
is the area of the boxes and whose hit is the chance of one. Where the published weights of the encoder's network are
installed, it is measured of the classifier's activation map too: that of the noun where it is among the 50 likeliest
words, else of the first of them. Peaks are those of weights smoothed in one way. A noun names a class by
``box_words.txt``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Unpack

import numpy as np
import torch

from regard.annotations import Concepts, Rectangle, Regions
from regard.data.images import load_image
from regard.encoders.concepts import concept_words
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.encoders.network import PRETRAINED
from regard.encoders.pretrained import PACKAGES
from regard.errors import ConfigError, DataError, ImageError, WeightsError
from regard.evidence.reference_words import same_word, stem
from regard.faithfulness import Floats
from regard.metrics.resampling import Bootstrap
from regard.pipeline import Captioner, SearchChanges
from regard.pipeline.pointing import Point, peak
from regard.progress import Progress, Silent

BOXES = "boxes.json"
TOLERANCE = 15 / 480
"""How far from a box a peak may lie, as a share of the photo's shorter side."""
SMALL, MEDIUM = 32**2, 96**2
"""Areas in pixels at COCO's own size below which the largest box of a noun makes it small or medium."""
POINT, WEIGHTS, CENTRE, UNIFORM, CLASSIFIER = "point", "weights", "centre", "uniform", "classifier"


@dataclass(frozen=True)
class BoxedPhoto:
    """A photo with boxes.

    Attributes:
        path: the file.
        width, height: in pixels.
        boxes: by the name of the class, each (left, top, right, bottom) in pixels.
    """

    path: Path
    width: int
    height: int
    boxes: Mapping[str, tuple[Rectangle, ...]]


@dataclass(frozen=True)
class PointedNoun:
    """One noun of one caption, and its hits under each kind of weights.

    Attributes:
        photo: the number of the photo.
        noun, category, size: what was said, what it names, and how large the largest box is: small, medium or large.
        hits, inside: by the kind of weights; a hit is 1 or 0, of uniform weights the chance of one.
    """

    photo: int
    noun: str
    category: str
    size: str
    hits: Mapping[str, float]
    inside: Mapping[str, float]


@dataclass(frozen=True)
class PointingScore:
    """A row of the table: nouns of one kind under one kind of weights, × 100, with 95 % intervals over photos."""

    group: str
    weights: str
    count: int
    hit: float
    hit_low: float
    hit_high: float
    inside: float
    inside_low: float
    inside_high: float


def read_boxes(folder: Path) -> list[BoxedPhoto]:
    """The photos of a folder that have boxes, from ``boxes.json`` in COCO's layout of instances.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    path = folder / BOXES
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = {each["id"]: str(each["name"]) for each in values["categories"]}
        boxes: dict[int, dict[str, list[Rectangle]]] = {}
        for each in values["annotations"]:
            left, top, width, height = (float(number) for number in each["bbox"])
            own = boxes.setdefault(each["image_id"], {}).setdefault(names[each["category_id"]], [])
            own.append((left, top, left + width, top + height))
        return [
            BoxedPhoto(
                path=folder / "images" / Path(str(each["file_name"])).name,
                width=int(each["width"]),
                height=int(each["height"]),
                boxes={name: tuple(found) for name, found in boxes[each["id"]].items()},
            )
            for each in values["images"]
            if each["id"] in boxes
        ]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", allowed="COCO's layout of instances") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: holds no boxes in COCO's layout ({error!r:.80})") from None


@cache
def box_classes() -> Mapping[str, str]:
    """The class of each stem in ``box_words.txt``."""
    text = resources.files("regard.evaluation").joinpath("box_words.txt").read_text(encoding="utf-8")
    lines = (line.split(": ") for line in text.splitlines())
    return {stem(word): name for name, words in lines for word in words.split()}


def measure_pointing(
    captioner: Captioner, data: Path, *, progress: Progress | None = None, **changes: Unpack[SearchChanges]
) -> list[PointingScore]:
    """Caption the photos with boxes and score where the nouns point.

    Args:
        captioner: with attention.
        data: a folder with ``boxes.json`` and ``images/``.
        progress: receives progress.
        changes: options of the search.

    Raises:
        DataError: the boxes cannot be used.
    """
    nouns = list(pointed_nouns(captioner, read_boxes(data), progress=progress or Silent(), changes=changes))
    return score_pointing(nouns)


def pointed_nouns(
    captioner: Captioner, photos: Sequence[BoxedPhoto], *, progress: Progress, changes: SearchChanges
) -> Iterator[PointedNoun]:
    """The nouns of the captions of photos that name a class with boxes there."""
    progress.start("captions", len(photos))
    classifier = ClassifierMaps.of(captioner)
    results = captioner.caption_many([photo.path for photo in photos], alternatives=0, **changes)
    for number, (photo, caption) in enumerate(zip(photos, results, strict=True)):
        if isinstance(caption, ImageError):
            raise caption
        for word in caption.words:
            category = box_classes().get(stem(word.text), "")
            if category in photo.boxes:
                weights = word.weights.ravel().astype(np.float64)
                found = judge(number, photo, category, word.text, weights, caption.regions)
                if word.point is not None:
                    found = _with_point(found, word.point, photo, caption.regions)
                yield found if classifier is None else classifier.add(found, photo, caption.regions)
        progress.advance(1)


def judge(number: int, photo: BoxedPhoto, category: str, noun: str, weights: Floats, regions: Regions) -> PointedNoun:
    """What weights that know nothing of the noun and its own weights [region] make of it."""
    boxes = photo.boxes[category]
    middles = np.array([((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in regions.rectangles])
    overlap, centre = overlaps(regions, boxes), (0.5, 0.5)
    scale = 480 / min(photo.width, photo.height)
    area = max((right - left) * (bottom - top) for left, top, right, bottom in boxes) * scale**2
    return PointedNoun(
        photo=number,
        noun=noun,
        category=category,
        size="small" if area < SMALL else "medium" if area < MEDIUM else "large",
        hits={
            WEIGHTS: _hit(peak(weights, regions), photo, boxes),
            CENTRE: _hit(centre, photo, boxes),
            UNIFORM: float(_near(middles, boxes, TOLERANCE * min(photo.width, photo.height)).mean()),
        },
        inside={
            WEIGHTS: float(weights @ overlap),
            CENTRE: float(overlap[_region_at(centre, photo, regions)]),
            UNIFORM: float(overlap.mean()),
        },
    )


def _with_point(noun: PointedNoun, point: Point, photo: BoxedPhoto, regions: Regions) -> PointedNoun:
    """The noun with what becomes of it where it points."""
    boxes = photo.boxes[noun.category]
    inside = float(overlaps(regions, boxes)[_region_at(point, photo, regions)])
    hit = _hit(point, photo, boxes)
    return replace(noun, hits={POINT: hit, **noun.hits}, inside={POINT: inside, **noun.inside})


def _hit(point: Point, photo: BoxedPhoto, boxes: Sequence[Rectangle]) -> float:
    place = np.array([[point[0] * photo.width, point[1] * photo.height]])
    return float(_near(place, boxes, TOLERANCE * min(photo.width, photo.height))[0])


def _region_at(point: Point, photo: BoxedPhoto, regions: Regions) -> int:
    """The region whose middle is nearest."""
    middles = np.array([((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in regions.rectangles])
    return int(((middles - [point[0] * photo.width, point[1] * photo.height]) ** 2).sum(axis=1).argmin())


class ClassifierMaps:
    """Where the classifier of the encoder's network sees what nouns name, as a baseline.

    Args:
        encoder: with the published weights, which names concepts; its grid is that of the captioner.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        self._encoder = encoder
        self._seen: tuple[int, Concepts] | None = None

    @classmethod
    def of(cls, captioner: Captioner) -> ClassifierMaps | None:
        """For a captioner whose network's weights are in an installed package; None where they are not."""
        settings = captioner.bundle.model.settings.encoder
        if not isinstance(settings, ImageEncoderSettings) or settings.name not in PACKAGES:
            return None
        published = {"weights": PRETRAINED, "concepts": 50, "folded": False, "train_from": None}
        try:
            encoder = ImageEncoder(settings.model_copy(update=published))
        except (ConfigError, WeightsError):
            return None
        same = encoder.grid_shape == captioner.bundle.model.encoder.grid_shape
        return cls(encoder.eval()) if same else None

    def add(self, noun: PointedNoun, photo: BoxedPhoto, regions: Regions) -> PointedNoun:
        """The noun with what the activation map makes of it."""
        concepts = self._concepts(noun.photo, photo)
        names = [concept_words()[number].text for number in concepts.words[0].tolist()]
        own = [place for place, name in enumerate(names) if _means(name, noun)]
        weights = concepts.maps[0, own[0] if own else 0].double().numpy()
        found = judge(noun.photo, photo, noun.category, noun.noun, weights, regions)
        return replace(
            noun,
            hits={**noun.hits, CLASSIFIER: found.hits[WEIGHTS]},
            inside={**noun.inside, CLASSIFIER: found.inside[WEIGHTS]},
        )

    def _concepts(self, number: int, photo: BoxedPhoto) -> Concepts:
        if self._seen is None or self._seen[0] != number:
            pixels, _ = self._encoder.prepare(load_image(photo.path))
            with torch.inference_mode():
                concepts = self._encoder(pixels.unsqueeze(0)).concepts
            assert concepts is not None, "the encoder was asked for concepts"
            self._seen = number, concepts
        return self._seen[1]


def _means(name: str, noun: PointedNoun) -> bool:
    return same_word(name, noun.noun) or box_classes().get(stem(name)) == noun.category


def overlaps(regions: Regions, boxes: Sequence[Rectangle], *, steps: int = 16) -> Floats:
    """The share of each region that lies in any of the boxes, on steps × steps points of it, [region]."""
    offsets = (np.arange(steps) + 0.5) / steps
    cells = np.array(regions.rectangles)
    x = cells[:, 0, None] + (cells[:, 2] - cells[:, 0])[:, None] * offsets
    y = cells[:, 1, None] + (cells[:, 3] - cells[:, 1])[:, None] * offsets
    inside = np.zeros((len(cells), steps, steps), dtype=bool)
    for left, top, right, bottom in boxes:
        inside |= ((x >= left) & (x < right))[:, None, :] & ((y >= top) & (y < bottom))[:, :, None]
    share: Floats = inside.mean(axis=(1, 2))
    return share


def _near(points: Floats, boxes: Sequence[Rectangle], tolerance: float) -> Floats:
    """1 where a point lies in a box or near one, [point]."""
    found = np.zeros(len(points))
    for left, top, right, bottom in boxes:
        dx = np.maximum(np.maximum(left - points[:, 0], points[:, 0] - right), 0)
        dy = np.maximum(np.maximum(top - points[:, 1], points[:, 1] - bottom), 0)
        found = np.maximum(found, np.hypot(dx, dy) <= tolerance)
    return found


def score_pointing(nouns: Sequence[PointedNoun], *, bootstrap: Bootstrap | None = None) -> list[PointingScore]:
    """Rows for all nouns, by size, and by class of those with ten nouns or more; each under every kind of weights."""
    groups: list[tuple[str, Callable[[PointedNoun], bool]]] = [("all", lambda noun: True)]
    groups += [(size, lambda noun, size=size: noun.size == size) for size in ("small", "medium", "large")]  # type: ignore[misc]
    counts: dict[str, int] = {}
    for noun in nouns:
        counts[noun.category] = counts.get(noun.category, 0) + 1
    frequent = sorted((name for name, count in counts.items() if count >= 10), key=lambda name: -counts[name])
    groups += [(name, lambda noun, name=name: noun.category == name) for name in frequent]  # type: ignore[misc]
    rows = []
    for group, belongs in groups:
        chosen = [noun for noun in nouns if belongs(noun)]
        kinds = chosen[0].hits if chosen else ()
        rows += [_score(group, kind, chosen, bootstrap or Bootstrap()) for kind in kinds]
    return rows


def _score(group: str, kind: str, nouns: Sequence[PointedNoun], bootstrap: Bootstrap) -> PointingScore:
    values = np.array([(noun.hits[kind], noun.inside[kind]) for noun in nouns])
    photos, photo_index = np.unique([noun.photo for noun in nouns], return_inverse=True)
    sums = np.zeros((len(photos), 3))
    np.add.at(sums, photo_index, np.column_stack([values, np.ones(len(values))]))
    random = np.random.default_rng(bootstrap.seed)
    drawn = random.integers(0, len(photos), (bootstrap.num_draws, len(photos)))
    totals = sums[drawn].sum(axis=1)
    tails = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(totals[:, :2] / totals[:, 2:], [tails, 1 - tails], axis=0)
    hit, inside = values.mean(axis=0)
    numbers = (hit, low[0], high[0], inside, low[1], high[1])
    return PointingScore(group, kind, len(nouns), *(round(100 * float(number), 2) for number in numbers))


def as_rows(scores: Sequence[PointingScore]) -> list[dict[str, object]]:
    """Plain data, a row each."""
    return [asdict(score) for score in scores]
