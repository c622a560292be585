"""The routes of the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from regard.serve.metrics import Metrics
from regard.serve.pool import Pool
from regard.serve.problems import CODES, Problem
from regard.serve.protection import Protection
from regard.serve.queue import JobQueue
from regard.serve.requests import (
    FORMS,
    IMAGE_TYPES,
    CaptionBody,
    CaptionRequest,
    CaptionsBody,
    ErrorBody,
    InspectionBody,
    LookRequest,
    ModelsBody,
    StatusBody,
    TextRequest,
    TranslateRequest,
    TranslationBody,
    TranslationsBody,
    caption_job,
    explain_job,
    look_job,
    translate_job,
)
from regard.serve.requests import Models as NamedModels
from regard.serve.settings import ServeSettings

PAGE = files("regard.serve") / "page"
"""The files of the page, as they are sent."""

_STATUS_CODES = {404: "not_found", 405: "method_not_allowed"}


class Service:
    """What the routes share.

    Args:
        settings: of the service.

    Attributes:
        stopping: whether new work is refused.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.stopping = False
        self.metrics = Metrics()
        limits = settings.limits
        self.queue = JobQueue(capacity=limits.waiting, wait_seconds=limits.wait_seconds, now=time.monotonic)
        self.pool = Pool(settings, self.queue, self.metrics)

    async def start(self) -> None:
        """Start the model processes, and wait for the first to be ready.

        Raises:
            ModelError: the models cannot be loaded.
        """
        await self.pool.start()

    async def stop(self) -> None:
        """End the model processes."""
        await self.pool.stop()

    def refuse(self) -> None:
        """Take no new work from now on."""
        self.stopping = True

    @property
    def models(self) -> NamedModels:
        """The models by name."""
        return NamedModels(self.pool.models)

    async def compute(self, request: Request, job: tuple[str, str], *, name: str, body: bytes) -> Response:
        """Let a model process do the job.

        Raises:
            Problem: it is refused, or cannot be done.
        """
        if self.stopping:
            raise Problem("stopping", retry_after=1)
        task, options = job
        waiting = await self.queue.put(task=task, options=options, name=name, body=body)
        gone = asyncio.create_task(_disconnected(request))
        awaited: set[asyncio.Future[Any]] = {waiting.answer, gone}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.answer.done():
                return Response(status_code=499)  # nobody reads it
            answer = waiting.answer.result()
        finally:
            gone.cancel()
            waiting.answer.cancel()
        headers = {"x-regard-result": "1"} if answer.media_type.startswith(("text/html", "image/")) else {}
        if answer.rest is not None:
            return StreamingResponse(_parts(answer.body, answer.rest), media_type=answer.media_type)
        return Response(answer.body, media_type=answer.media_type, headers=headers)


def build_app(service: Service) -> Protection:
    """The ASGI application of a service; the models are started and stopped beside it."""
    app = FastAPI(
        title="regard",
        version=version("regard"),
        summary="Describes a picture, translates a sentence, and shows for every word where it looked.",
        docs_url=None,
        redoc_url=None,
        responses=_responses(
            "invalid_request", "key_missing", "foreign_origin", "unknown_host", "too_slow", "internal"
        ),
    )
    _add_work(app, service)
    _add_state(app, service)
    _add_refusals(app)
    _add_keys(app, service.settings)
    _add_page(app)
    if service.settings.origins:
        _allow_origins(app, service.settings.origins)
    return Protection(app, service.settings, service.metrics)


def _add_work(app: FastAPI, service: Service) -> None:
    limits = service.settings.limits
    work = _responses("model_unknown", "too_large", "unsupported_type", "busy", "stopping")

    @app.post(
        "/v1/caption",
        response_model=CaptionBody | CaptionsBody,
        responses=work,
        openapi_extra=_image_body(),
        tags=["work"],
    )
    async def caption(request: Request, options: Annotated[CaptionRequest, Query()]) -> Response:
        """Describe a photo, the body; `Accept: text/html` or `image/png` gives the result as a page or a picture."""
        form = _form(request)
        _check_image_type(request)
        job = caption_job(options, service.models, limits, form)
        return await service.compute(request, job, name=options.name, body=await request.body())

    @app.post("/v1/translate", response_model=TranslationBody | TranslationsBody, responses=work, tags=["work"])
    async def translate(request: Request, options: TranslateRequest) -> Response:
        """Translate a text; `Accept: text/html` or `image/png` gives the result as a page or a picture."""
        form = _form(request)
        job = translate_job(options, service.models, limits, form)
        return await service.compute(request, job, name="", body=options.text.encode())

    @app.post("/v1/inspect", response_model=InspectionBody, responses=work, openapi_extra=_image_body(), tags=["work"])
    async def inspect(request: Request, options: Annotated[LookRequest, Query()]) -> Response:
        """Describe a photo, the body, with feature maps, and the scores, weights and query of each word."""
        _check_image_type(request)
        job = look_job(options, service.models, limits, "inspect")
        return await service.compute(request, job, name=options.name, body=await request.body())

    @app.post("/v1/explain", response_model=CaptionBody, responses=work, openapi_extra=_image_body(), tags=["work"])
    async def explain(request: Request, options: Annotated[LookRequest, Query()]) -> Response:
        """Describe a photo, the body, and measure for every word what becomes of it without what it looked at."""
        _check_image_type(request)
        job = look_job(options, service.models, limits, "explain_caption")
        return await service.compute(request, job, name=options.name, body=await request.body())

    @app.post("/v1/explain/translation", response_model=TranslationBody, responses=work, tags=["work"])
    async def explain_translation(request: Request, options: TextRequest) -> Response:
        """Translate one sentence, and measure for every word what becomes of it without what it looked at."""
        job = explain_job(options, service.models, limits)
        return await service.compute(request, job, name="", body=options.text.encode())

    @app.get("/v1/models", response_model=ModelsBody, tags=["work"])
    async def models() -> JSONResponse:
        """The models that the service has, the default ones first."""
        return JSONResponse({"models": service.models.described})


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=StatusBody, tags=["state"])
    async def healthz() -> dict[str, str]:
        """Whether the service runs at all."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=StatusBody, responses=_responses("stopping"), tags=["state"])
    async def readyz() -> dict[str, str]:
        """Whether it can take work."""
        if service.stopping or not service.pool.num_ready:
            raise Problem("stopping" if service.stopping else "process_ended", retry_after=1)
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, tags=["state"])
    async def metrics() -> Response:
        """Metrics in Prometheus' text format."""
        text = service.metrics.text(waiting=len(service.queue), ready=service.pool.num_ready)
        return Response(text, media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(str(PAGE / "index.html"))

    app.mount("/page", StaticFiles(directory=str(PAGE)), name="page")


def _add_refusals(app: FastAPI) -> None:
    """Answer every error in one shape."""

    @app.exception_handler(Problem)
    async def refused(_: Request, problem: Problem) -> Response:
        return _refusal(problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _refusal(Problem("invalid_request", "; ".join(_describe(each) for each in error.errors())))

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        return _refusal(Problem(_STATUS_CODES.get(error.status_code, "invalid_request")), error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return _refusal(Problem("internal"))


def _add_keys(app: FastAPI, settings: ServeSettings) -> None:
    """Declare the API keys in the OpenAPI description, where the service has some."""
    if not settings.keys:
        return
    described = app.openapi

    def with_keys() -> dict[str, Any]:
        description = described()
        schemes = description.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer"}
        description["security"] = [{"key": []}]
        return description

    app.openapi = with_keys  # type: ignore[method-assign]


def _allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    from starlette.middleware.cors import CORSMiddleware

    app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST"], allow_headers=["*"])


def _refusal(problem: Problem, headers: Any = None) -> Response:
    return Response(problem.body(), problem.status, {**(headers or {}), **problem.headers()})


def _describe(problem: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"][1:]) or "the body"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _form(request: Request) -> str:
    """The form of the first accepted type that the service can give; JSON where there is none."""
    accepted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    return next((FORMS[each] for each in accepted if each in FORMS), "json")


def _check_image_type(request: Request) -> None:
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given not in ("", "application/octet-stream", *IMAGE_TYPES):
        raise Problem("unsupported_type", f"the body is {given[:80]!r}", ", ".join(IMAGE_TYPES))


async def _parts(first: bytes, rest: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    """An answer as it comes."""
    part: bytes | None = first
    while part is not None:
        yield part
        part = await rest.get()


async def _disconnected(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _image_body() -> dict[str, Any]:
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in IMAGE_TYPES}
    return {"requestBody": {"required": True, "description": "The image.", "content": content}}


def _responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The description of responses with some codes, by status."""
    found: dict[int | str, dict[str, Any]] = {}
    for status, meaning in (CODES[code] for code in codes):
        found[status] = {"model": ErrorBody, "description": meaning}
    return found
