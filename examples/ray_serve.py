"""regard as a Ray Serve deployment: replicas of the captioner behind one address, on one machine or many.

    pip install "ray[serve]"
    serve run examples.ray_serve:application

Requests that wait are described together, as `regard serve` does it. The body is the image.
"""

import io
from typing import Any

from ray import serve
from starlette.requests import Request

import regard


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=64)
class CaptionService:
    """One captioner a replica, with one thread: replicas share the cores."""

    def __init__(self, model: str) -> None:
        loaded = regard.load(model, threads=1)
        assert isinstance(loaded, regard.Captioner), "a model that describes pictures"
        self.captioner = loaded

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.0)
    async def describe(self, images: list[bytes]) -> list[dict[str, Any]]:
        results = self.captioner.caption_many([io.BytesIO(image) for image in images], batch=len(images))
        return [{"error": str(each)} if isinstance(each, regard.ImageError) else each.to_dict() for each in results]

    async def __call__(self, request: Request) -> dict[str, Any]:
        described: dict[str, Any] = await self.describe(await request.body())
        return described


application = CaptionService.bind("everyday")
