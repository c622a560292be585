from __future__ import annotations

import io
import os
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.Image import Transpose

from regard.data import images
from regard.data.images import MAX_PIXELS, load_image
from regard.data.resizing import ResizeMode, resize
from regard.errors import ImageError

MODES: tuple[ResizeMode, ...] = ("squash", "crop", "letterbox")
RED, BLUE = (220, 30, 20), (20, 40, 200)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def patched(width: int = 96, height: int = 64) -> Image.Image:
    """Blue, with a red patch whose place no flip or turn leaves where it is."""
    image = Image.new("RGB", (width, height), BLUE)
    image.paste(RED, (width // 8, height // 2, width // 4, height * 5 // 8))
    return image


def position_map(width: int, height: int) -> Image.Image:
    """Red grows from left to right and green from top to bottom, so a colour says where it comes from."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


# How a viewer turns a stored picture upright, undone: what a camera would have stored.
STORED_AS = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


def with_orientation(image: Image.Image, orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    turn = STORED_AS[orientation]
    stored = image if turn is None else image.transpose(turn)
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    return encode(stored, kind, exif=exif, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_has_the_patch_in_the_same_cell(kind: str, mode: ResizeMode) -> None:
    cells = {}
    for orientation in STORED_AS:
        photo = load_image(io.BytesIO(with_orientation(patched(), orientation, kind)))
        pixels, frame = resize(photo, 64, mode)
        regions = frame.regions(8, 8)
        redness = pixels.astype(int)[..., 0].reshape(8, 8, 8, 8).mean(axis=(1, 3))
        assert (photo.width, photo.height) == (regions.width, regions.height) == (96, 64)
        cells[orientation] = (int(redness.argmax()), regions.rectangles[int(redness.argmax())])
    assert len(set(cells.values())) == 1, cells
    left, top, right, bottom = cells[1][1]
    assert 12 - 2 <= left < right <= 24 + 2, "the cell covers the patch in pixels of the upright photo"
    assert 32 - 2 <= top < bottom <= 40 + 5


def test_orientation_of_a_picture_that_is_already_open() -> None:
    stored = Image.open(io.BytesIO(with_orientation(patched(), 6, "PNG")))
    assert load_image(stored).pixels.shape == (64, 96, 3)
    assert stored.size == (64, 96), "the caller's picture is left as it was"


@pytest.mark.parametrize("value", [0, 9, 77])
def test_unknown_orientations_are_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    assert load_image(io.BytesIO(encode(patched(), "JPEG", exif=exif))).pixels.shape == (64, 96, 3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(97, 61), (61, 97), (50, 50), (300, 40)])
@pytest.mark.parametrize("size", [(64, 64), (48, 80), (33, 57)])
def test_a_cell_shows_what_lies_in_its_rectangle(
    shape: tuple[int, int], size: tuple[int, int], mode: ResizeMode
) -> None:
    width, height = shape
    photo = load_image(position_map(width, height))
    pixels, frame = resize(photo, size, mode)
    rows, columns = size[0] // 3, size[1] // 3
    regions = frame.regions(rows, columns)
    checked = 0
    for index, (left, top, right, bottom) in enumerate(regions.rectangles):
        if left < 4 or top < 4 or right > width - 4 or bottom > height - 4:
            continue  # at the border the filter sees the edge, and bars lie outside
        y, x = divmod(index, columns)
        # The pixel of the resized picture that the middle of this cell lies in.
        row, column = int((y + 0.5) * size[0] / rows), int((x + 0.5) * size[1] / columns)
        seen = pixels[row, column, :2] / 255 * [width - 1, height - 1] + 0.5
        step = [(right - left) * columns / size[1] + 1, (bottom - top) * rows / size[0] + 1]
        assert abs(seen[0] - (left + right) / 2) <= step[0]
        assert abs(seen[1] - (top + bottom) / 2) <= step[1]
        checked += 1
    assert checked > 5


def test_squash_tiles_the_photo_exactly() -> None:
    _, frame = resize(load_image(position_map(90, 60)), 32, "squash")
    regions = frame.regions(2, 3)
    assert regions.rectangles == (
        (0, 0, 30, 30),
        (30, 0, 60, 30),
        (60, 0, 90, 30),
        (0, 30, 30, 60),
        (30, 30, 60, 60),
        (60, 30, 90, 60),
    )


def test_crop_keeps_the_middle_and_letterbox_keeps_everything() -> None:
    photo = load_image(position_map(120, 60))
    assert resize(photo, 32, "crop")[1].box == (30, 0, 90, 60)
    pixels, frame = resize(photo, 32, "letterbox")
    assert frame.box == (0, -30, 120, 90)
    assert (pixels[:8] == (124, 116, 104)).all()
    assert (pixels[24:] == (124, 116, 104)).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 1)])
def test_extreme_proportions(size: tuple[int, int], mode: ResizeMode) -> None:
    pixels, frame = resize(load_image(Image.new("RGB", size, RED)), 32, mode)
    assert pixels.shape == (32, 32, 3)
    assert (pixels == RED).all(axis=2).any()
    assert len(frame.regions(4, 4)) == 16


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 640, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    pixels, _ = resize(load_image(stripes), 32)
    assert np.abs(pixels.astype(int) - 127).max() < 12


def flat(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (9, 7), colour)


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (flat("L", 90), "PNG", (90, 90, 90)),
        (flat("1", 1), "PNG", (255, 255, 255)),
        (flat("RGB", RED).quantize(2), "PNG", RED),
        (flat("RGB", RED).quantize(2), "GIF", RED),
        (flat("RGB", RED), "BMP", RED),
        (flat("RGBA", (*RED, 255)), "PNG", RED),
        (flat("RGBA", (*RED, 0)), "PNG", (255, 255, 255)),
        (flat("RGBA", (0, 0, 0, 51)), "PNG", (204, 204, 204)),
        (flat("RGBA", (0, 0, 0, 51)), "WEBP", (204, 204, 204)),
        (flat("LA", (100, 0)), "PNG", (255, 255, 255)),
        (flat("CMYK", (0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (flat("CMYK", (0, 0, 0, 255)), "JPEG", (0, 0, 0)),
        (flat("L", 200), "JPEG", (200, 200, 200)),
        (flat("L", 200), "WEBP", (200, 200, 200)),
    ],
)
def test_kinds_of_pictures(image: Image.Image, kind: str, expected: tuple[int, int, int]) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    photo = load_image(io.BytesIO(encode(image, kind, **options)))
    assert photo.pixels.shape == (7, 9, 3)
    assert photo.pixels.dtype == np.uint8
    assert np.abs(photo.pixels.astype(int) - expected).max() <= 3


def test_palette_with_a_transparent_colour_lies_on_white() -> None:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, *RED])
    for kind in ("PNG", "GIF"):
        photo = load_image(io.BytesIO(encode(image, kind, transparency=1)))
        assert (photo.pixels == 255).all(), kind


def test_sixteen_bits_keep_their_brightness() -> None:
    values = np.linspace(0, 65535, 63).astype(np.uint16).reshape(7, 9)
    from_file = load_image(io.BytesIO(encode(Image.fromarray(values), "PNG")))
    expected = values / 257
    assert np.abs(from_file.pixels[..., 0] - expected).max() <= 1
    assert (load_image(values).pixels == from_file.pixels).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_only_the_first_frame_of_an_animation(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(flat("RGB", RED), kind, save_all=True, append_images=[flat("RGB", BLUE)], **options)
    assert np.abs(load_image(io.BytesIO(data)).pixels.astype(int) - RED).max() <= 2


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 1), (7, 9, 2), (7, 9, 3), (7, 9, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_arrays(shape: tuple[int, ...], kind: type) -> None:
    photo = load_image(np.full(shape, 255 if kind is np.uint8 else 65535, dtype=kind))
    assert (photo.path, photo.width, photo.height) == ("<array>", 9, 7)
    assert (photo.pixels == 255).all()


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((5,), dtype=np.uint8), "shape"),
        (np.zeros((5, 5, 5), dtype=np.uint8), "shape"),
        (np.zeros((0, 5, 3), dtype=np.uint8), "shape"),
        (np.zeros((5, 5, 3), dtype=np.float32), "cast it to uint8"),
        (np.zeros((5, 5, 3), dtype=bool), "uint8 or uint16"),
    ],
)
def test_arrays_that_are_no_pictures(array: NDArray[Any], part: str) -> None:
    with pytest.raises(ImageError, match=part):
        load_image(array)


def test_paths_files_and_pillow_images_agree(tmp_path: Path) -> None:
    path = tmp_path / "höhe 1.png"
    position_map(30, 20).save(path)
    data = path.read_bytes()
    with path.open("rb") as file, Image.open(path) as opened:
        photos = [load_image(source) for source in (path, str(path), file, opened, io.BytesIO(data), data)]
    assert [photo.path for photo in photos] == [str(path)] * 4 + ["<file>", "<bytes>"]
    assert all((photo.pixels == photos[0].pixels).all() for photo in photos)


@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "MPO"])
def test_what_phones_and_cameras_make(kind: str) -> None:
    photo = load_image(io.BytesIO(encode(patched(), kind)))
    assert np.abs(photo.pixels.astype(int) - load_image(patched()).pixels).mean() < 6


def test_heic_is_read_where_its_package_is_and_named_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "IMG_1.jpg"
    pillow_heif.from_pillow(patched()).save(path, format="HEIF")
    photo = load_image(path)
    assert np.abs(photo.pixels.astype(int) - load_image(patched()).pixels).mean() < 8
    path.write_bytes(path.read_bytes()[:40] + b"\0" * 60)
    with pytest.raises(ImageError, match=r"damaged|cut short|no picture"):
        load_image(path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"is a HEIC photo; install .*regard\[heif\]"):
        load_image(path)


@pytest.mark.parametrize("brand", [b"qt  ", b"mp42", b"isom"])
def test_a_film_is_called_one(brand: bytes) -> None:
    with pytest.raises(ImageError, match="is a film, not a picture"):
        load_image(b"\0\0\0\x14ftyp" + brand + b"\0\0\0\0isom" + b"\0" * 40)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("https://example.org/a.jpg", "https://example.org/a.jpg: is an address.*download the picture"),
        ("data:image/png;base64," + "A" * 5000, "is an address"),
        ("", "is an empty name; give a path"),
        (None, "<NoneType>: is no picture; give a path"),
        (3.5, "<float>: is no picture"),
        (["a.jpg"], "<list>: is many where one picture is meant; .*caption_many"),
    ],
)
def test_what_is_no_picture_is_one_short_line(given: Any, part: str) -> None:
    with pytest.raises(ImageError, match=part) as caught:
        load_image(given)
    assert len(str(caught.value)) < 300


def test_a_hint_decodes_a_large_jpeg_smaller_and_keeps_its_geometry() -> None:
    for orientation in (1, 6):
        data = with_orientation(position_map(1600, 1200), orientation, "JPEG")
        small, full = load_image(io.BytesIO(data), hint=64), load_image(io.BytesIO(data))
        assert small.image.width < full.image.width
        assert min(small.image.size) >= 128, "at least twice the hint remains for the better filter"
        assert (small.width, small.height) == (full.width, full.height) == (1600, 1200)
        for mode in MODES:
            (fast, fast_frame), (exact, exact_frame) = (resize(each, 64, mode) for each in (small, full))
            assert fast_frame == exact_frame
            assert np.abs(fast.astype(int) - exact).max() <= 6


def test_pixels_of_a_resized_picture_can_be_written() -> None:
    photo = load_image(position_map(32, 32))
    for size in (32, 16):
        pixels, _ = resize(photo, size)
        pixels[:] = 0
    assert photo.pixels.any()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + chunk.replace(b"IHDR", b"IDAT")


HOSTILE = {
    "empty": (b"", "is empty"),
    "one byte": (b"\xff", "is no picture"),
    "text": (b"not a picture at all\n" * 9, "is no picture"),
    "jpeg magic alone": (b"\xff\xd8\xff", "damaged|no picture"),
    "png magic alone": (b"\x89PNG\r\n\x1a\n", "damaged|no picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no picture"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),
    "bomb": (png_header(60_000, 60_000), "too many pixels; allowed: up to 175 million"),
    "smaller bomb": (png_header(13_300, 13_300), "too many pixels"),
    "bomb of one row": (png_header(2**31 - 1, 1), "too many pixels"),
    "gif bomb": (b"GIF89a" + struct.pack("<HH", 65535, 65535) + encode(patched(), "GIF")[10:], "too many pixels"),
    "truncated jpeg": (encode(patched(), "JPEG")[:700], "cut short"),
    "truncated png": (encode(position_map(80, 80), "PNG")[:-60], "cut short"),
    "truncated webp": (encode(position_map(80, 80), "WEBP")[:-40], "damaged"),
    "truncated gif": (encode(position_map(80, 80).convert("P"), "GIF")[:-900], "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_give_one_line(name: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[name]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        with pytest.raises(ImageError, match=reason) as caught:
            load_image(source, hint=64)
        assert "\n" not in str(caught.value)
        assert caught.value.path == (str(path) if source is path else "<file>")
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    cases = {
        tmp_path / "absent.jpg": "no such file",
        tmp_path: "is a folder",
        tmp_path / "pipe": "no ordinary file",
        tmp_path / ("x" * 400): "no such file|cannot be read",
    }
    for path, reason in cases.items():
        with pytest.raises(ImageError, match=reason) as caught:
            load_image(path)
        assert caught.value.path == str(path)
    with pytest.raises(ImageError, match="no such file"):
        load_image("nul\0byte.jpg")


def test_pictures_up_to_the_limit_are_read() -> None:
    long = Image.new("L", (30_000, 40), 77)
    photo = load_image(io.BytesIO(encode(long, "PNG")))
    assert (photo.width, photo.height) == (30_000, 40)
    for mode in MODES:
        assert resize(photo, 32, mode)[0].shape == (32, 32, 3)
    assert MAX_PIXELS > 30_000 * 5_000


def test_a_size_from_which_pillow_warns_is_read_in_silence() -> None:
    data = encode(Image.new("1", (10_000, 9_000)), "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load_image(io.BytesIO(data)).width == 10_000
    assert caught == []


def test_floating_point_pictures_are_refused() -> None:
    with pytest.raises(ImageError, match="floating-point"):
        load_image(Image.new("F", (4, 4)))


SEEDS = [
    with_orientation(patched(), 6, "JPEG"),
    encode(patched().convert("CMYK"), "JPEG", progressive=True),
    with_orientation(patched(), 8, "PNG"),
    encode(patched().convert("LA"), "PNG"),
    encode(patched().convert("P"), "PNG", transparency=0),
    encode(patched(), "WEBP"),
    encode(patched().convert("P"), "GIF", save_all=True, append_images=[patched().convert("P")]),
    encode(patched(), "BMP"),
]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 4000),
)
def test_damaged_bytes_give_a_photo_or_one_line(seed: bytes, changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    try:
        photo = load_image(io.BytesIO(bytes(data[: max(1, end)])), hint=16)
    except ImageError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert photo.pixels.shape[2] == 3


def test_many_threads_read_alike_and_leave_the_warnings_alone(tmp_path: Path) -> None:
    paths = []
    for index, seed in enumerate(SEEDS):
        paths.append(tmp_path / f"{index}.bin")
        paths[-1].write_bytes(seed)
    before = list(warnings.filters)
    alone = [load_image(path).pixels for path in paths]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda path: load_image(path).pixels, paths * 10))
    assert all((each == alone[index % len(paths)]).all() for index, each in enumerate(together))
    assert list(warnings.filters) == before


@pytest.mark.parametrize("kind", ["RGB", "P", "RGBA", "L", "1", "I;16", "LA"])
def test_a_hint_averages_a_large_picture_in_strips_as_a_whole_one_would_be(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 256, (9, 7, 4), np.uint8), mode="RGBA").resize((523, 371))
    if kind == "I;16":
        image = Image.fromarray(random.integers(0, 2**16, (371, 523), np.uint16))
    else:
        image = coarse.convert("RGB").quantize(40) if kind == "P" else coarse.convert(kind)
    content = io.BytesIO()
    image.save(content, "PNG", **({"transparency": 3} if kind == "P" else {}))
    whole = load_image(io.BytesIO(content.getvalue()))
    monkeypatch.setattr(images, "STRIP_PIXELS", 4000)
    small = load_image(io.BytesIO(content.getvalue()), hint=60)
    assert small.image.size == (175, 124)
    assert (small.width, small.height) == (523, 371)
    assert np.array_equal(np.asarray(small.image), np.asarray(whole.image.reduce(3)))


def test_what_takes_too_much_memory_is_refused_before_it_is_decoded() -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def header(width: int, height: int) -> io.BytesIO:
        parts = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")
        return io.BytesIO(b"\x89PNG\r\n\x1a\n" + parts)

    with pytest.raises(
        ImageError, match=r"takes 520 MB to decode; allowed: 420 MB; make it smaller, or save it as JPEG"
    ):
        load_image(header(13_000, 10_000))
    with pytest.raises(ImageError, match="is damaged or cut short"):
        load_image(header(10_400, 10_000))


@pytest.mark.parametrize(
    ("place", "value", "part"), [(14, 7, "header type"), (28, 3, "pixel depth"), (30, 5, "compression")]
)
def test_an_unusual_bitmap_is_unsupported_and_not_damaged(place: int, value: int, part: str) -> None:
    data = bytearray(encode(Image.new("RGB", (4, 4)), "BMP"))
    data[place] = value
    with pytest.raises(ImageError, match=rf"is of a kind that cannot be read \(Unsupported BMP {part}"):
        load_image(io.BytesIO(bytes(data)))
