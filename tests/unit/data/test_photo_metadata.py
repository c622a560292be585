"""A caption in a photo's metadata is read back, and everything else of the file stays as it was."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from regard.data.photo_metadata import with_description
from regard.errors import DataError

DESCRIPTION, ORIENTATION, MAKER, EXIF_DIRECTORY, TAKEN, GPS_DIRECTORY = 0x010E, 0x0112, 0x010F, 0x8769, 0x9003, 0x8825
XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description rdf:about='uuid:1' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='4'/>"
    b"</rdf:RDF></x:xmpmeta>"
)
NAMES = {"rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "dc": "http://purl.org/dc/elements/1.1/"}


def photo(kind: str, *, tells: bool, **options: Any) -> bytes:
    """A small photo, with or without metadata of its own."""
    pixels = np.random.default_rng(3).integers(0, 256, (21, 34, 3), np.uint8)
    own: dict[str, Any] = {}
    if tells:
        exif = Image.Exif()
        exif[ORIENTATION], exif[MAKER], exif[DESCRIPTION] = 6, "Maker", "what the camera said"
        exif.get_ifd(EXIF_DIRECTORY)[TAKEN] = "2020:01:01 00:00:00"
        exif.get_ifd(GPS_DIRECTORY)[1] = "N"
        own = {"exif": exif.tobytes()} | ({} if kind == "PNG" else {"xmp": XMP})
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **own, **options)
    return file.getvalue()


def descriptions(image: Image.Image) -> list[str | None]:
    """Every description in the XMP of a file."""
    packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
    found = ElementTree.fromstring(packet).iterfind(".//dc:description/rdf:Alt/rdf:li", NAMES)
    return [each.text for each in found]


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})])
def test_the_description_is_read_back_and_the_picture_is_untouched(
    kind: str, options: dict[str, Any], tells: bool
) -> None:
    before = photo(kind, tells=tells, **options)
    text = 'a "dog" & <b> – 개'
    after = with_description(with_description(before, "something else"), text)
    with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        assert new.tobytes() == old.tobytes()
        assert descriptions(new) == [text]
        exif, former = new.getexif(), old.getexif()
        assert str(exif[DESCRIPTION]).encode("latin-1").decode() == text
        assert {**exif, DESCRIPTION: ""} == {**former, DESCRIPTION: ""}
        for directory in (EXIF_DIRECTORY, GPS_DIRECTORY):
            assert exif.get_ifd(directory) == former.get_ifd(directory)
        if tells and kind != "PNG":
            assert b"xmp:Rating='4'" in new.info["xmp"]


def test_short_descriptions_lie_in_their_entry() -> None:
    with Image.open(io.BytesIO(with_description(photo("JPEG", tells=True), "ox"))) as image:
        assert image.getexif()[DESCRIPTION] == "ox"


def test_what_holds_no_caption_is_one_error() -> None:
    tiff = io.BytesIO()
    Image.new("RGB", (4, 4)).save(tiff, "TIFF")
    with pytest.raises(DataError, match="allowed: JPEG, PNG and WebP; use --sidecar"):
        with_description(tiff.getvalue(), "a dog")
    whole = photo("JPEG", tells=True)
    for damaged in (
        whole[:3],
        whole[:20],
        whole.replace(b"Exif\0\0MM", b"Exif\0\0XX").replace(b"Exif\0\0II", b"Exif\0\0XX"),
    ):
        with pytest.raises(DataError, match="metadata are damaged"):
            with_description(damaged, "a dog")


def test_hostile_metadata_cost_no_more_than_their_length() -> None:
    """Work that grew as the square of these would take minutes."""
    entries = b"II*\0\x08\0\0\0" + (60_000).to_bytes(2, "little") + bytes(12 * 60_000 + 4)
    text = XMP.decode().replace("</rdf:RDF>", "<dc:description " * 100_000 + "</dc:description></rdf:RDF>")
    told = PngInfo()
    told.add_itxt("XML:com.adobe.xmp", text)
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG", exif=b"Exif\0\0" + entries, pnginfo=told)
    assert with_description(file.getvalue(), "A dog.").startswith(b"\x89PNG")
