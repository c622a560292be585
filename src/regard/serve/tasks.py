"""Tasks of a model process: from the bytes of requests to the bytes of responses, a batch at a time."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from regard.data.images import FORMATS
from regard.errors import ImageError, RegardError, TextError
from regard.pipeline import Captioner, Translator, load, search_changes, translate_caption
from regard.pipeline.hedging import hedge
from regard.result_views import Result
from regard.results import Caption
from regard.saved import DEFAULT_CAPTIONER
from regard.saved.bundle import SHIPPED, read_config, shipped_models
from regard.serve.events import event, word_events
from regard.serve.problems import Problem

MEDIA_TYPES = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "png": "image/png",
    "events": "text/event-stream",
}
"""What a result is sent as, by its form."""


@dataclass(frozen=True)
class Item:
    """One request of a batch: the name of its image, and its body."""

    name: str
    body: bytes


@dataclass(frozen=True)
class Reply:
    """The response to one request of a batch.

    Attributes:
        item: which request, from 0.
        body: the content, or the problem as JSON.
        media_type: of the content.
        failed: whether it is a problem.
        more: whether further replies continue the content.
    """

    item: int
    body: bytes
    media_type: str = MEDIA_TYPES["json"]
    failed: bool = False
    more: bool = False


Options = dict[str, Any]
"""What all requests of a batch ask for, as :mod:`regard.serve.requests` makes it."""
OnWords = Callable[[Result], None]
"""Called with a result so far whenever it has more words."""


class Tasks:
    """The models of one process, and what can be asked of them.

    Args:
        names: names or folders of models; none for the default captioner and all translators that ship.
        precision: see :func:`regard.pipeline.load`.
        image_pixels: the largest image that is decoded.

    Raises:
        RegardError: a model cannot be loaded.
    """

    def __init__(self, names: Sequence[str], *, precision: str, image_pixels: int) -> None:
        self._models = {name: load(name, threads=1, precision=precision) for name in names or shipped_names()}
        self._image_pixels = image_pixels
        self._batched: dict[str, Callable[[Sequence[Item], Options], Iterator[Reply]]] = {
            "caption": self._caption,
            "translate": self._translate,
        }
        self._single: dict[str, Callable[[Item, Options], Any]] = {
            "captions_after": self._captions_after,
            "inspect": self._inspect,
            "explain_caption": self._explain_caption,
            "explain_translation": self._explain_translation,
            "translations_after": self._translations_after,
        }
        self._streamed: dict[str, Callable[[Item, Options, OnWords], Result]] = {
            "stream_caption": self._stream_caption,
            "stream_translation": self._stream_translation,
        }

    def describe(self) -> list[dict[str, Any]]:
        """The models as ``GET /v1/models`` lists them."""
        return [_describe(name, model) for name, model in self._models.items()]

    def run(self, task: str, items: Sequence[Item], options: Options, send: Callable[[Reply], None]) -> None:
        """Send a reply for each item as it is ready; what cannot be computed is a problem in its place."""
        if task in self._batched:
            self._run_batch(task, items, options, send)
            return
        for each, item in enumerate(items):
            try:
                send(self._run_single(task, each, item, options, send))
            except RegardError as error:
                send(_refusal(each, error))

    def _run_batch(self, task: str, items: Sequence[Item], options: Options, send: Callable[[Reply], None]) -> None:
        replied = set()
        try:
            for reply in self._batched[task](items, options):
                replied.add(reply.item)
                send(reply)
        except RegardError as error:
            for each in range(len(items)):
                if each not in replied:
                    send(_refusal(each, error))

    def _run_single(self, task: str, index: int, item: Item, options: Options, send: Callable[[Reply], None]) -> Reply:
        """The last reply to one item."""
        if task in self._single:
            return _json(index, self._single[task](item, options))
        num_sent = 0

        def send_words(partial: Result) -> None:
            nonlocal num_sent
            data = partial.to_dict()
            send(Reply(index, word_events(data, first=num_sent), MEDIA_TYPES["events"], more=True))
            num_sent = len(data["words"])

        whole = self._streamed[task](item, options, send_words).to_dict()
        return Reply(index, word_events(whole, first=num_sent) + event("result", whole), MEDIA_TYPES["events"])

    def _caption(self, items: Sequence[Item], options: Options) -> Iterator[Reply]:
        captioner = self._captioner(options["model"])
        readable: list[int] = []
        for each, item in enumerate(items):
            try:
                self._check_size(item)
                readable.append(each)
            except ImageError as error:
                yield _refusal(each, error)
        images = [_named(items[each]) for each in readable]
        arguments = {name: options[name] for name in ("prefix", "alternatives", "region")}
        results = captioner.caption_many(images, batch=len(items), **arguments, **search_changes(options["search"]))
        for each, result in zip(readable, results, strict=True):
            if isinstance(result, ImageError):
                yield _refusal(each, result)
            else:
                caption = result if options["hedged"] is None else hedge(result, **options["hedged"])
                yield _rendered(each, self._translated(caption, options), options["form"])

    def _stream_caption(self, item: Item, options: Options, on_words: OnWords) -> Result:
        arguments = {name: options[name] for name in ("prefix", "alternatives", "region")}
        search = search_changes(options["search"])
        caption = self._captioner(options["model"]).stream(self._image(item), on_words, **arguments, **search)
        return self._translated(caption, options)

    def _translated(self, caption: Caption, options: Options) -> Result:
        """The caption in the language that is asked for; as it is where none is."""
        name = options["translator"]
        return caption if name is None else translate_caption(caption, self._translator(name))

    def _captions_after(self, item: Item, options: Options) -> Any:
        captioner, search = self._captioner(options["model"]), search_changes(options["search"])
        arguments = {"count": options["next"], "region": options["region"], **search}
        captions = captioner.captions_after(self._image(item), options["prefix"], **arguments)
        return {"captions": [caption.to_dict() for caption in captions]}

    def _inspect(self, item: Item, options: Options) -> Any:
        captioner, search = self._captioner(options["model"]), search_changes(options["search"])
        caption, inspection = captioner.inspect(self._image(item), prefix=options["prefix"], **search)
        return {"caption": caption.to_dict(), "inspection": inspection.to_dict()}

    def _explain_caption(self, item: Item, options: Options) -> Any:
        captioner, search = self._captioner(options["model"]), search_changes(options["search"])
        return captioner.explain(self._image(item), prefix=options["prefix"], **search).to_dict()

    def _translate(self, items: Sequence[Item], options: Options) -> Iterator[Reply]:
        translator = self._translator(options["model"])
        texts = [item.body.decode() for item in items]
        arguments = {name: options[name] for name in ("prefix", "alternatives")}
        results = translator.translate_many(texts, **arguments, **search_changes(options["search"]))
        for each, result in enumerate(results):
            if isinstance(result, TextError):
                yield _refusal(each, result)
            else:
                yield _rendered(each, result, options["form"])

    def _stream_translation(self, item: Item, options: Options, on_words: OnWords) -> Result:
        arguments = {name: options[name] for name in ("prefix", "alternatives")}
        search = search_changes(options["search"])
        return self._translator(options["model"]).stream(item.body.decode(), on_words, **arguments, **search)

    def _translations_after(self, item: Item, options: Options) -> Any:
        translator, search = self._translator(options["model"]), search_changes(options["search"])
        found = translator.translations_after(item.body.decode(), options["prefix"], count=options["next"], **search)
        return {"translations": [translation.to_dict() for translation in found]}

    def _explain_translation(self, item: Item, options: Options) -> Any:
        translator, search = self._translator(options["model"]), search_changes(options["search"])
        return translator.explain(item.body.decode(), prefix=options["prefix"], **search).to_dict()

    def _image(self, item: Item) -> io.BytesIO:
        """The image, by the name that messages and results call it.

        Raises:
            ImageError: it is too large.
        """
        self._check_size(item)
        return _named(item)

    def _check_size(self, item: Item) -> None:
        """Refuse an image that is too large, from its header alone; what is no image is found out later."""
        try:
            with Image.open(io.BytesIO(item.body), formats=FORMATS) as image:
                width, height = image.size
        except Image.DecompressionBombError:
            width, height = self._image_pixels + 1, 1
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError):
            return
        if width * height > self._image_pixels:
            raise ImageError(item.name, "has too many pixels", allowed=f"up to {self._image_pixels:,}")

    def _captioner(self, name: str) -> Captioner:
        model = self._models[name]
        assert isinstance(model, Captioner), "the service knows which models are captioners"
        return model

    def _translator(self, name: str) -> Translator:
        model = self._models[name]
        assert isinstance(model, Translator), "the service knows which models are translators"
        return model


def shipped_names() -> list[str]:
    """The default captioner, then every translator that ships."""
    translators = [name for name in shipped_models() if read_config(SHIPPED / name).kind == "translator"]
    return [DEFAULT_CAPTIONER, *translators]


def _describe(name: str, model: Captioner | Translator) -> dict[str, Any]:
    bundle, translates = model.bundle, isinstance(model, Translator)
    return {
        "name": name,
        "kind": "translator" if translates else "captioner",
        "languages": list(bundle.languages) if bundle.languages else None,
        "beam": bundle.search.beam,
        "max_length": bundle.search.max_length,
        "metrics": bundle.metrics,
    }


def _named(item: Item) -> io.BytesIO:
    """The image as a file of its name, by which messages and results call it."""
    file = io.BytesIO(item.body)
    file.name = item.name
    return file


def _rendered(item: int, result: Result, form: str) -> Reply:
    """The result in a form: as data, or as what would be saved under that suffix."""
    if form == "json":
        return _json(item, result.to_dict())
    with tempfile.TemporaryDirectory() as folder:
        body = result.save(Path(folder) / f"result.{form}").read_bytes()
    return Reply(item, body, MEDIA_TYPES[form])


def _json(item: int, value: Any) -> Reply:
    return Reply(item, json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))


def _refusal(item: int, error: RegardError) -> Reply:
    return Reply(item, json.dumps(Problem.of(error).to_dict()).encode(), failed=True)
