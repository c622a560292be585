"""The bodies and queries of requests, checked against the limits of the service, and the bodies of responses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from regard.serve.problems import Problem
from regard.serve.settings import Limits

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp")
"""Types of bodies that are taken as an image; one without a type, or ``application/octet-stream``, is looked at."""
FORMS = {"application/json": "json", "text/html": "html", "image/png": "png", "text/event-stream": "events"}
"""Media types that ``Accept`` may ask for, with the name of the form: the suffix of a saved file where it is one."""
CAPTION_LANGUAGE = "en"
_NUMBER = r"(0|1|0?\.\d{1,6}|1\.0{1,6})"
REGION_PATTERN = rf"^{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}$"

Word = Annotated[str, Field(max_length=200)]


Next = Annotated[
    int | None, Field(ge=1, description="Give so many texts that begin with the prefix and differ in the next word.")
]
Alternatives = Annotated[int | None, Field(ge=0, description="How many other texts to give with the best.")]
Share = Annotated[float, Field(ge=0, le=1)]


class SearchRequest(BaseModel):
    """Options of the search; those left out are the model's own."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[Word | None, Field(description="A model by name; the default one unless given.")] = None
    prefix: Annotated[str, Field(description="How the text must begin.")] = ""
    beam: Annotated[int | None, Field(ge=1, description="Hypotheses kept in the search; 1 is greedy.")] = None
    max_length: Annotated[int | None, Field(ge=1, description="The most words, the end counted.")] = None
    min_length: Annotated[int | None, Field(ge=0, description="The fewest words.")] = None
    length_normalisation: Annotated[float | None, Field(ge=0, le=10)] = None
    no_repeat: Annotated[int | None, Field(ge=1, description="No sequence of so many words twice.")] = None
    no_end_after: Annotated[
        list[Word] | None, Field(max_length=100, description="No text ends with one of these words.")
    ] = None
    groups: Annotated[int | None, Field(ge=1, description="Diverse beam search: groups of the beam.")] = None
    diversity: Annotated[float | None, Field(ge=0, le=1000, description="What a word of an earlier group costs.")] = (
        None
    )
    samples: Annotated[int | None, Field(ge=1, description="Random samples instead of a beam.")] = None
    temperature: Annotated[float | None, Field(gt=0, le=100)] = None
    top_k: Annotated[int | None, Field(ge=1)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    seed: Annotated[int | None, Field(ge=0, le=2**31)] = None

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        """Refuse half a surrogate pair, which JSON can spell and UTF-8 cannot."""
        if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise ValueError("is not Unicode text")
        return value

    def search(self, limits: Limits) -> dict[str, Any]:
        """The options of the search that were given.

        Raises:
            Problem: one exceeds its limit.
        """
        for name in ("beam", "groups", "samples", "next", "alternatives"):
            _check_limit(name, getattr(self, name, None), limits.beam)
        for name in ("max_length", "min_length", "no_repeat"):
            _check_limit(name, getattr(self, name), limits.words)
        if len(self.prefix) > limits.text_characters:
            raise Problem("invalid_request", "the prefix is too long", f"{limits.text_characters} characters")
        return self.model_dump(exclude={*_NO_SEARCH, *_own_fields(type(self))}, exclude_none=True)


_NO_SEARCH = ("model", "prefix")


class LookRequest(SearchRequest):
    """The query of ``POST /v1/inspect`` and ``POST /v1/explain``; the body is the image."""

    name: Annotated[Word, Field(description="What results and messages call the image.")] = "image"


class CaptionRequest(LookRequest):
    """The query of ``POST /v1/caption``; the body is the image."""

    next: Next = None
    alternatives: Alternatives = None
    region: Annotated[
        str | None,
        Field(
            pattern=REGION_PATTERN,
            description="The part of the image that attention is held to: left,top,right,bottom as fractions of it.",
        ),
    ] = None
    to: Annotated[Word | None, Field(description="Translate the caption into this language, such as de.")] = None
    min_evidence: Annotated[
        Share | None, Field(description="Say words of less evidence more broadly, or leave them out.")
    ] = None
    min_confidence: Annotated[
        Share | None, Field(description="Of captions of less confidence give the sure words alone.")
    ] = None

    def box(self) -> tuple[float, ...] | None:
        """The region as numbers."""
        return None if self.region is None else tuple(float(edge) for edge in self.region.split(","))


class TextRequest(SearchRequest):
    """The body of ``POST /v1/explain/translation``."""

    text: Annotated[str, Field(description="One sentence or several.")]
    source: Annotated[Word, Field(alias="from", description="The language of the text.")] = "en"
    to: Annotated[Word | None, Field(description="The language of the translation, such as de.")] = None


class TranslateRequest(TextRequest):
    """The body of ``POST /v1/translate``."""

    next: Next = None
    alternatives: Alternatives = None


def _own_fields(kind: type[SearchRequest]) -> set[str]:
    return set(kind.model_fields) - set(SearchRequest.model_fields)


def _check_limit(name: str, value: int | None, limit: int) -> None:
    if value is not None and value > limit:
        raise Problem("invalid_request", f"{name} is {value}", f"up to {limit}")


class Models:
    """The models of a service, as requests name them.

    Args:
        described: what each model process has loaded.
    """

    def __init__(self, described: Iterable[Mapping[str, Any]]) -> None:
        self.described = [dict(each) for each in described]

    def captioner(self, name: str | None) -> str:
        """The captioner of that name, or the default one.

        Raises:
            Problem: there is none.
        """
        return self._find("captioner", name, [each["name"] for each in self.described if each["kind"] == "captioner"])

    def translator(self, name: str | None, source: str, target: str | None) -> str:
        """The translator of that name, or the first one between these languages.

        Raises:
            Problem: there is none.
        """
        translators = [each for each in self.described if each["kind"] == "translator"]
        if name is not None:
            return self._find("translator", name, [each["name"] for each in translators])
        fitting = [each["name"] for each in translators if _fits(each["languages"], source, target)]
        if not fitting:
            known = ", ".join(f"{reads} to {writes}" for reads, writes in (each["languages"] for each in translators))
            wanted = f"from {source!r}" if target is None else f"from {source!r} to {target!r}"
            raise Problem("model_unknown", f"no model translates {wanted}", known or "none")
        return str(fitting[0])

    def _find(self, kind: str, name: str | None, known: list[str]) -> str:
        if not known:
            raise Problem("model_unknown", f"the service has no {kind}", remedy="name one when it is started")
        if name is not None and name not in known:
            raise Problem("model_unknown", f"there is no {kind} {name!r}", ", ".join(known))
        return known[0] if name is None else name


def _fits(languages: list[str], source: str, target: str | None) -> bool:
    return languages[0] == source and target in (None, languages[1])


def look_job(request: LookRequest, models: Models, limits: Limits, task: str) -> tuple[str, str]:
    """A task that looks into a captioner, and its options as JSON.

    Raises:
        Problem: a model or a limit stands against it.
    """
    options = {"model": models.captioner(request.model), "prefix": request.prefix, "search": request.search(limits)}
    return task, json.dumps(options, sort_keys=True)


def caption_job(request: CaptionRequest, models: Models, limits: Limits, form: str) -> tuple[str, str]:
    """The task and its options as JSON: what :class:`regard.serve.queue.Job` takes.

    Raises:
        Problem: a model or a limit stands against it.
    """
    hedged = {"min_evidence": request.min_evidence, "min_confidence": request.min_confidence}
    if form == "events":
        _refuse_with("events, which give words before the whole is known", hedged)
    if request.next is not None:
        _refuse_with("next", {**hedged, "to": request.to, "alternatives": request.alternatives})
    options = {
        "model": models.captioner(request.model),
        "translator": None if request.to is None else models.translator(None, CAPTION_LANGUAGE, request.to),
        "prefix": request.prefix,
        "alternatives": request.alternatives,
        "region": request.box(),
        "hedged": None if hedged == dict.fromkeys(hedged) else hedged,
        "search": request.search(limits),
        "next": request.next,
        "form": form,
    }
    whole = "stream_caption" if form == "events" else "caption"
    return (whole if request.next is None else "captions_after"), json.dumps(options, sort_keys=True)


def translate_job(request: TranslateRequest, models: Models, limits: Limits, form: str) -> tuple[str, str]:
    """The task and its options as JSON.

    Raises:
        Problem: a model or a limit stands against it.
    """
    if request.next is not None:
        _refuse_with("next", {"alternatives": request.alternatives})
    options = {
        **_text_options(request, models, limits),
        "alternatives": request.alternatives,
        "next": request.next,
        "form": form,
    }
    whole = "stream_translation" if form == "events" else "translate"
    return (whole if request.next is None else "translations_after"), json.dumps(options, sort_keys=True)


def explain_job(request: TextRequest, models: Models, limits: Limits) -> tuple[str, str]:
    """The task of explaining a translation and its options as JSON.

    Raises:
        Problem: a model or a limit stands against it.
    """
    return "explain_translation", json.dumps(_text_options(request, models, limits), sort_keys=True)


def _text_options(request: TextRequest, models: Models, limits: Limits) -> dict[str, Any]:
    if len(request.text) > limits.text_characters:
        raise Problem("invalid_request", "the text is too long", f"{limits.text_characters} characters")
    return {
        "model": models.translator(request.model, request.source, request.to),
        "prefix": request.prefix,
        "search": request.search(limits),
    }


def _refuse_with(other: str, values: Mapping[str, Any]) -> None:
    """Refuse options that another would leave without effect."""
    given = [name for name, value in values.items() if value is not None]
    if given:
        raise Problem("invalid_request", f"{given[0]} has no effect with {other}", remedy="leave one of them out")


class CaptionedWord(BaseModel):
    """A word of a caption; ``weights`` are rows of numbers over the grid that sum to 1."""

    model_config = ConfigDict(extra="allow")

    word: str
    probability: float
    weights: list[list[float]]


class OtherText(BaseModel):
    """Another text that the search found."""

    text: str
    score: float


class Grid(BaseModel):
    """Where the cells lie: edges of rows and columns as fractions of a photo of ``width`` and ``height`` pixels."""

    width: int
    height: int
    rows: list[list[float]]
    columns: list[list[float]]


class TranslatedWord(BaseModel):
    """A word of a translation; that of a caption has ``weights`` on the photo."""

    model_config = ConfigDict(extra="allow")

    word: str
    probability: float
    weights: list[list[float]] | None = None


class TranslationBody(BaseModel):
    """A translation, as ``regard translate --json`` prints it."""

    model_config = ConfigDict(extra="allow")

    source: str
    text: str
    score: float
    source_words: list[str]
    words: list[TranslatedWord]
    alignment: list[list[float]]
    alternatives: list[OtherText]
    finished: bool


class CaptionBody(BaseModel):
    """A caption, as ``regard caption --json`` prints it."""

    model_config = ConfigDict(extra="allow")

    path: str
    text: str
    score: float
    words: list[CaptionedWord]
    alternatives: list[OtherText]
    finished: bool
    grid: Grid
    translation: TranslationBody | None = None


class CaptionsBody(BaseModel):
    """With ``next``: captions that begin alike."""

    captions: list[CaptionBody]


class TranslationsBody(BaseModel):
    """With ``next``: translations that begin alike."""

    translations: list[TranslationBody]


class InspectionBody(BaseModel):
    """A caption, and how it came about: feature maps, classes, and for each word scores, weights and query."""

    caption: CaptionBody
    inspection: dict[str, Any]


class ModelBody(BaseModel):
    """A model of the service."""

    model_config = ConfigDict(extra="allow")

    name: str
    kind: Literal["captioner", "translator"]
    languages: list[str] | None
    beam: int
    max_length: int
    metrics: dict[str, Any]


class ModelsBody(BaseModel):
    """All models; the first captioner is the default one."""

    models: list[ModelBody]


class ErrorDetail(BaseModel):
    """What went wrong: a stable code, and words."""

    code: str
    message: str
    allowed: str
    remedy: str


class ErrorBody(BaseModel):
    """The body of every response that is no success."""

    error: ErrorDetail


class StatusBody(BaseModel):
    """How the service is."""

    status: str
