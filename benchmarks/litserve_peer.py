"""The captioner behind LitServe, as its documentation shows a batched model: what `regard serve` is measured beside."""

import base64
import io
import os
import sys
from typing import Any

import litserve
from fastapi import Request

import regard

BATCH = 16


class CaptionApi(litserve.LitAPI):  # type: ignore[misc]
    """One captioner a worker process, with one thread."""

    def setup(self, device: str) -> None:
        self.captioner = regard.load(sys.argv[1], threads=1)

    def decode_request(self, request: Request) -> bytes:
        parsed: Any = request  # LitServe reads the body of what is annotated as a request, JSON
        return base64.b64decode(parsed["image"])

    def predict(self, images: list[bytes]) -> list[dict[str, Any]]:
        captions = self.captioner.caption_many([io.BytesIO(each) for each in images], batch=len(images), alternatives=0)
        return [caption.to_dict() for caption in captions]

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = CaptionApi(max_batch_size=BATCH, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=os.cpu_count() or 1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error")
