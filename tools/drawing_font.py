"""Make the font that pictures are lettered with: Latin, Greek and Cyrillic of Noto Sans, Hangul of Noto Sans CJK KR.

    pip install fonttools
    python tools/drawing_font.py NotoSans-Regular.ttf NotoSansCJK-Regular.ttc src/regard/views/assets/RegardSans.ttf

Debian has the sources as the packages fonts-noto-core and fonts-noto-cjk. Cubic outlines become quadratic within half a
unit of 1000 per em, layout tables and hints are left out, and the result has a name of its own, as the licence of
the fonts (SIL Open Font License 1.1) asks of modified versions.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from fontTools.merge import Merger
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont, newTable

NAME = "Regard Sans"
COPYRIGHT = "Copyright 2015 Google LLC (Noto Sans), 2014-2021 Adobe (Noto Sans CJK, Reserved Font Name 'Source')"
LICENCE = "This Font Software is licensed under the SIL Open Font License, Version 1.1."

LATIN = [
    *range(0x20, 0x7F),
    *range(0xA0, 0x250),
    *range(0x300, 0x370),
    *range(0x370, 0x530),
    *range(0x1E00, 0x1F00),
    *range(0x2010, 0x2028),
    *range(0x2030, 0x205F),
    *range(0x20A0, 0x20C0),
    0x2212,
    0x2260,
    0x2264,
    0x2265,
    0xFFFD,
]
"""Code points that are taken from Noto Sans."""
SIGNS = [
    0x2190,
    0x2191,
    0x2192,
    0x2193,
    0x2212,
    0x2260,
    0x2264,
    0x2265,
    0x2581,
    *range(0x3000, 0x3016),
    *range(0x3131, 0x318F),
]
"""Code points that are taken from Noto Sans CJK besides the syllables, where Noto Sans lacks them."""


def syllables() -> list[int]:
    """The 2,350 Hangul syllables of KS X 1001, rows 16 to 40."""
    found = [bytes([row, cell]) for row in range(0xB0, 0xC9) for cell in range(0xA1, 0xFF)]
    return [ord(code.decode("euc_kr")) for code in found]


def subset(font: TTFont, code_points: list[int]) -> TTFont:
    """The font with these code points alone, without layout tables and hints."""
    options = Options(hinting=False, notdef_outline=True, glyph_names=False, desubroutinize=True, name_IDs=[])
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG", "kern", "MATH", "meta"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=code_points)
    subsetter.subset(font)
    return font


def with_quadratic_outlines(font: TTFont) -> TTFont:
    """The font with glyf outlines in place of CFF ones."""
    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    outlines: dict[str, Any] = {}
    for name in order:
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, max_err=0.5, reverse_direction=True))
        outlines[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = order, outlines
    font["maxp"].tableVersion = 0x00010000
    for field in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs"):
        setattr(font["maxp"], field, 1 if field == "maxZones" else 0)
    for field in ("maxStackElements", "maxSizeOfInstructions"):
        setattr(font["maxp"], field, 0)
    font["maxp"].maxComponentElements = max(
        (len(each.components) for each in outlines.values() if each.isComposite()), default=0
    )
    font["post"].formatType, font["post"].extraNames, font["post"].mapping = 2.0, [], {}
    del font["CFF "]
    font.sfntVersion = "\x00\x01\x00\x00"
    return font


def name(font: TTFont) -> None:
    """Give the font a name, its makers and its licence."""
    table = font["name"] = newTable("name")
    table.names = []
    values = {
        0: COPYRIGHT,
        1: NAME,
        2: "Regular",
        3: NAME,
        4: NAME,
        5: "Version 1.0",
        6: NAME.replace(" ", ""),
        13: LICENCE,
    }
    for identity, value in values.items():
        table.setName(value, identity, 3, 1, 0x409)


def main(latin_path: str, hangul_path: str, output: str) -> None:
    latin = subset(TTFont(latin_path), LATIN)
    wanted = [code for code in [*SIGNS, *syllables()] if code not in latin.getBestCmap()]
    hangul = next(font for font in TTCollection(hangul_path).fonts if font["name"].getDebugName(1).endswith("KR"))
    hangul = with_quadratic_outlines(subset(hangul, wanted))
    with tempfile.TemporaryDirectory() as folder:
        parts = [str(Path(folder, f"{number}.ttf")) for number in range(2)]
        latin.save(parts[0])
        hangul.save(parts[1])
        font = Merger().merge(parts)
    name(font)
    font["post"].formatType = 3.0
    font["head"].created = font["head"].modified = 0
    font.recalcTimestamp = False
    font.save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
