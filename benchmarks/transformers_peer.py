"""BLIP-base and ViT-GPT2 of Hugging Face ``transformers`` on the photos of a job file, for their time alone.

    python benchmarks/transformers_peer.py JOB.json CHANNEL        (in the environment of the peers; see peer.py)

The weights are random, which costs the same time as trained ones; what they write says nothing. Each call captions one
photo from its file, with as many tokens as the job says.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    GPT2Config,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from answering import serve

GPT2_END = 50256


def pixels_of(path: str, size: int) -> torch.Tensor:
    """[1, 3, size, size], as the models' own processors make it of a photo."""
    with Image.open(path) as image:
        resized = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 127.5 - 1).unsqueeze(0)


def blip() -> tuple[Any, int, dict[str, int]]:
    """BLIP-base for captions, its picture size and options."""
    config = BlipConfig()
    model = BlipForConditionalGeneration(config).eval()
    return model, int(config.vision_config.image_size), {}


def vit_gpt2() -> tuple[Any, int, dict[str, int]]:
    """ViT-base and GPT-2 with cross-attention, its picture size and options."""
    vision = ViTConfig()
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vision, GPT2Config())
    model = VisionEncoderDecoderModel(config=config).eval()
    special = {"decoder_start_token_id": GPT2_END, "pad_token_id": GPT2_END, "eos_token_id": GPT2_END}
    return model, int(vision.image_size), special


def captioning(built: tuple[Any, int, dict[str, int]], job: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The work: one photo after the other, one a call."""
    model, size, special = built
    photos = itertools.cycle(job["photos"])
    length = {"min_new_tokens": job["tokens"], "max_new_tokens": job["tokens"], "num_beams": job["beam"]}

    def caption() -> dict[str, Any]:
        with torch.inference_mode():
            said = model.generate(pixel_values=pixels_of(next(photos), size), **length, **special)
        return {"tokens": int(said.shape[1])}

    return caption


def main() -> None:
    """Read the job and answer."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    builders = {"blip": blip, "vit-gpt2": vit_gpt2}
    serve(
        {name: captioning(builders[name](), job) for name in job["models"]},
        versions={"transformers": metadata.version("transformers"), "torch": torch.__version__},
    )


if __name__ == "__main__":
    main()
