"""Photos: read any of them as a person sees it.

Whatever the file holds (a rotation flag, a palette, transparency, four inks, sixteen bits) becomes upright RGB with
eight bits. Whatever cannot be read becomes one :class:`regard.errors.ImageError` that names the file and the reason.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

from regard.errors import ImageError

Pixels = NDArray[np.uint8]
"""RGB values, [height, width, 3]."""

ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]
"""What :func:`load_image` reads: a path, the bytes of a file, an open binary file, a Pillow image, or an array [H, W]
or [H, W, 1 to 4]."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
READABLE = "JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP and, with the package pillow-heif, HEIC"
GIVEN = "a path, the bytes of a file, an open binary file, a Pillow image, or an array of uint8 [height, width, 3]"
HEIC_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"])
"""The brands of files in the High Efficiency Image File Format (ISO/IEC 23008-12), as phones write them."""
AVIF_BRANDS = frozenset([b"avif", b"avis"])
MAX_PIXELS = 175_000_000
"""Larger pictures are refused from their header alone: more than cameras give, and less than the 178,956,970 from which
Pillow itself takes a picture for an attack."""

MAX_BYTES = 420_000_000
"""How much memory one picture may take while it is decoded: 105 million pixels of three colours. Pillow decodes whole
pictures only, and makes none but JPEG smaller on the way."""
LARGE_BYTES = 32_000_000
"""Pictures that take more than that are decoded one at a time, whatever the number of threads."""
STRIP_PIXELS = 2**20
"""A picture that is to be made smaller is converted in strips of about so many pixels."""
MOST_PIXELS_KEPT = 2**24
"""A picture of more pixels is made smaller than a hint asks for, such as a panorama of which only one side is long."""

_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "LA": 4, "PA": 4}
"""What Pillow takes for a pixel; four where it is not said."""
_WEBP_BYTES, _PROGRESSIVE_BYTES = 16, 6
"""What a decoder of WebP takes for a pixel, its copies included; and that of a progressive JPEG besides, before it can
give anything."""

PAPER = (255, 255, 255)
"""What transparent pictures lie on."""

UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What turns a picture of an EXIF orientation upright (EXIF 2.32, tag 0x0112); 1 and unknown values need nothing."""

SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations that swap width and height."""

# What Pillow's decoders raise for damaged data, beside OSError: found by feeding them damaged files.
_DECODER_ERRORS = (
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    struct.error,
    zlib.error,
)

_one_large = threading.Lock()
# Silencing warnings is not safe across threads, and folders are decoded by several.
_silence = threading.Lock()


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as a person sees it.

    Attributes:
        path: the file's name, or what stands for it in messages.
        image: upright RGB; smaller than the original where :func:`load_image` was given a hint.
        width, height: size of the original in pixels, upright.
    """

    path: str
    image: Image.Image
    width: int
    height: int

    @cached_property
    def pixels(self) -> Pixels:
        """RGB values [height, width, 3] of :attr:`image`, read-only."""
        return np.asarray(self.image)


def load_image(source: ImageSource, *, hint: int | None = None) -> Photo:
    """Read one picture.

    Args:
        source: a path, the bytes of a file, an open binary file, a Pillow image, or an array of 8 or 16 bits a number.
        hint: the side in pixels to which the picture will be resized. A large picture is then brought to a fraction of
            its size, never below twice the hint: a JPEG is decoded at a half, a quarter or an eighth, which is many
            times faster, and others are averaged in strips, which takes less memory.

    Raises:
        ImageError: there is no such file, it is empty, damaged, too large or no picture, or what is given is no file.
    """
    path = image_name(source)
    if reason := _why_no_source(source):
        raise ImageError(path, reason[0], remedy=reason[1])
    if isinstance(source, np.ndarray):
        return _photo(_from_array(source), path)
    if isinstance(source, Image.Image):
        with _one_error(path):
            return _photo(source.copy(), path)
    if isinstance(source, str | os.PathLike):
        with _one_error(path), _existing(path).open("rb") as file:
            return _decode(file, path, hint)
    with _one_error(path):
        data = source if isinstance(source, bytes) else source.read()
        return _decode(io.BytesIO(data), path, hint)


def _why_no_source(source: object) -> tuple[str, str] | None:
    """Why nothing can be read from what was given, and what to give instead; None where something can."""
    if isinstance(source, str) and _ADDRESS.match(source):
        return "is an address, and nothing is fetched from a network", "download the picture and give its file"
    if isinstance(source, list | tuple | set | dict):
        return "is many where one picture is meant", "give them one by one, or all to caption_many"
    if isinstance(source, str) and not source.strip():
        return "is an empty name", f"give {GIVEN}"
    if isinstance(source, str | os.PathLike | bytes | np.ndarray | Image.Image) or hasattr(source, "read"):
        return None
    return "is no picture", f"give {GIVEN}"


_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)
_LONGEST_NAME = 60


def image_name(source: ImageSource) -> str:
    """What a picture is called in messages and results: its path, or what kind of thing it is."""
    if isinstance(source, np.ndarray):
        return "<array>"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "")) or "<image>"
    if isinstance(source, str) and _ADDRESS.match(source):
        return source if len(source) <= _LONGEST_NAME else f"{source[:_LONGEST_NAME]}…"
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        return f"<{type(source).__name__}>"
    return os.fsdecode(source) if isinstance(source, str | os.PathLike) else str(getattr(source, "name", "<file>"))


def _existing(path: str) -> Path:
    file = Path(path)
    if file.is_dir():
        raise ImageError(path, "is a folder", remedy="name the pictures in it")
    if not file.exists():
        raise ImageError(path, "no such file")
    if not file.is_file():
        raise ImageError(path, "is no ordinary file")
    return file


@contextlib.contextmanager
def _one_error(path: str) -> Iterator[None]:
    """Turn whatever Pillow and the system raise into one error about ``path``."""
    try:
        yield
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except UnidentifiedImageError:
        raise ImageError(path, "is no picture that can be read", allowed=READABLE) from None
    except MemoryError:
        raise ImageError(path, "needs more memory than there is") from None
    except OSError as error:
        # The system's own errors carry a number; Pillow's are about what is in the file.
        if error.errno:
            raise ImageError(path, f"cannot be read ({error.strerror})") from None
        raise _undecodable(path, error, "is damaged or cut short") from None
    except _DECODER_ERRORS as error:
        raise _undecodable(path, error, "is damaged") from None


def _undecodable(path: str, error: Exception, usual: str) -> ImageError:
    """The error for what a decoder refuses: some say themselves that they do not know a kind of file."""
    reason = f"{str(error) or type(error).__name__:.200}"
    if any(word in reason.lower() for word in ("unsupported", "not supported", "unknown")):
        remedy = "save it as an ordinary JPEG or PNG"
        return ImageError(path, f"is of a kind that cannot be read ({reason})", remedy=remedy)
    return ImageError(path, f"{usual} ({reason})")


def _too_large(path: str) -> ImageError:
    return ImageError(path, "has too many pixels", allowed=f"up to {MAX_PIXELS // 10**6} million")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with _silence, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decode(file: BinaryIO, path: str, hint: int | None) -> Photo:
    head = file.read(_HEAD)
    if not head:
        raise ImageError(path, "is empty")
    file.seek(0)
    with _quiet():
        image = _open_heic(file, path) if _is_heic(head, path) else Image.open(file, formats=FORMATS)
    size = image.size
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_large(path)
    if hint is not None:
        image.draft(None, (2 * hint, 2 * hint))
    num_bytes = _decoded_bytes(image, size)
    if num_bytes > MAX_BYTES:
        remedy = "make it smaller, or save it as JPEG" if image.format != "JPEG" else "make it smaller"
        raise ImageError(
            path, f"takes {num_bytes / 1e6:,.0f} MB to decode", allowed=f"{MAX_BYTES / 1e6:,.0f} MB", remedy=remedy
        )
    with _one_large if num_bytes > LARGE_BYTES else contextlib.nullcontext():
        image.load()
        return _photo(image, path, size=size, factor=1 if hint is None else _reduction(image.size, hint))


_HEAD = 64


def _is_heic(head: bytes, path: str) -> bool:
    """Whether a file of boxes (ISO/IEC 14496-12) is a HEIC photo.

    Raises:
        ImageError: it is a film.
    """
    if head[4:8] != b"ftyp":
        return False
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brands = {head[8:12], *(head[place : place + 4] for place in range(16, end, 4))}
    if brands & AVIF_BRANDS:
        return False
    if not brands & HEIC_BRANDS:
        raise ImageError(path, "is a film, not a picture", allowed=READABLE)
    return True


def _open_heic(file: BinaryIO, path: str) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        remedy = 'install the package that reads it with: pip install "regard[heif]", or save the photo as JPEG'
        raise ImageError(path, "is a HEIC photo", remedy=remedy) from None
    try:
        image: Image.Image = HeifImageFile(file)  # type: ignore[no-untyped-call]
    except Exception as error:  # the package says neither what it raises nor when
        raise ImageError(path, f"is a HEIC photo, and damaged ({error!s:.80})") from None
    return image


def _decoded_bytes(image: Image.Image, size: tuple[int, int]) -> int:
    """The memory that decoding takes of a picture of which the header is read; ``size`` is that of the original."""
    pixels = image.width * image.height
    if image.format == "WEBP":
        return pixels * _WEBP_BYTES
    before = size[0] * size[1] * _PROGRESSIVE_BYTES if image.info.get("progressive") else 0
    return before + pixels * _BYTES_PER_PIXEL.get(image.mode, 4)


def _reduction(size: tuple[int, int], hint: int) -> int:
    """By what whole number a picture is made smaller."""
    wanted = min(size) // (2 * hint)
    needed = math.ceil(math.sqrt(size[0] * size[1] / MOST_PIXELS_KEPT))
    return max(1, wanted, needed)


def _photo(image: Image.Image, path: str, *, size: tuple[int, int] | None = None, factor: int = 1) -> Photo:
    """Turn a decoded picture upright and into RGB.

    Args:
        image: the picture.
        path: its name.
        size: of the original, where it was decoded smaller.
        factor: by what to make it smaller still.
    """
    width, height = size or image.size
    orientation = _orientation(image)
    rgb = _to_rgb(image, path) if factor == 1 else _reduced(image, path, factor)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    if orientation in SIDEWAYS:
        width, height = height, width
    return Photo(path=path, image=rgb, width=width, height=height)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) where there is none or the EXIF block is damaged, as viewers do."""
    with _quiet(), contextlib.suppress(OSError, *_DECODER_ERRORS):
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return value if isinstance(value, int) else 1
    return 1


def _reduced(image: Image.Image, path: str, factor: int) -> Image.Image:
    """RGB at 1 / factor of the size, means over squares, made in strips: there is never a second copy as large."""
    width, height = image.size
    rgb = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        strip = _to_rgb(image.crop((0, top, width, min(height, top + rows))), path)
        rgb.paste(strip.reduce(factor), (0, top // factor))
    return rgb


def _to_rgb(image: Image.Image, path: str) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_high_byte(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise ImageError(path, "holds floating-point numbers", allowed="8 or 16 bits a channel")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGB", rgba.size, PAPER)
        canvas.paste(rgba, mask=rgba.getchannel("A"))
        return canvas
    return image if image.mode == "RGB" else image.convert("RGB")


def _high_byte(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The upper eight bits of 16-bit numbers."""
    high: NDArray[np.uint8] = np.clip(values >> 8, 0, 255).astype(np.uint8)
    return high


def _from_array(values: NDArray[Any]) -> Image.Image:
    shaped = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 2, 3, 4))
    if not shaped or values.size == 0:
        raise ImageError(
            "<array>", f"has the shape {values.shape}", allowed="[height, width] or [height, width, 1 to 4 channels]"
        )
    if values.dtype not in (np.uint8, np.uint16):
        remedy = "scale it to 0–255 and cast it to uint8"
        raise ImageError("<array>", f"holds {values.dtype} numbers", allowed="uint8 or uint16", remedy=remedy)
    data = _high_byte(values) if values.dtype == np.uint16 else values
    return Image.fromarray(data[:, :, 0] if data.ndim == 3 and data.shape[2] == 1 else data)
