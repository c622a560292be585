"""Charts: every value at its height, any text inside, nothing outside the picture."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from regard.views.line_chart import Axis, Line, Point, line_chart

SVG = "{http://www.w3.org/2000/svg}"
SIZES = Axis("numbers in the vector", [(2, "4"), (4, "16"), (6, "64"), (8, "256")])


def chart(*lines: Line, x: Axis = SIZES, title: str = "A title") -> ElementTree.Element:
    return ElementTree.fromstring(line_chart(lines, title=title, x=x, y_title="CIDEr-D"))


def labels(svg: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Each text of the chart and where it stands."""
    return {
        "".join(each.itertext()): (float(each.get("x", 0)), float(each.get("y", 0))) for each in svg.iter(SVG + "text")
    }


def joined(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The corners of each line, in pixels."""
    pairs = [each.get("points", "").split() for each in svg.iter(SVG + "polyline")]
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line)] for line in pairs]


def test_points_stand_over_their_ticks_at_the_height_of_their_value() -> None:
    svg = chart(Line("attend", [Point(2, 10), Point(4, 25), Point(6, 40), Point(8, 50)]))
    where = labels(svg)
    (corners,) = joined(svg)
    assert [x for x, _ in corners] == pytest.approx([where[label][0] for label in ("4", "16", "64", "256")])
    # text hangs 4 pixels below the line that it names
    assert corners[0][1] == pytest.approx(where["10"][1] - 4, abs=0.11)
    assert corners[3][1] == pytest.approx(where["50"][1] - 4, abs=0.11)
    middle = (where["20"][1] + where["30"][1]) / 2 - 4
    assert corners[1][1] == pytest.approx(middle, abs=0.11)


@pytest.mark.parametrize(
    ("highest", "last"), [(63.0, 80), (60.0, 60), (0.34, 0.4), (7.0, 8), (1234.5, 1500), (100.0, 100), (0, 1)]
)
def test_the_vertical_axis_runs_from_zero_in_round_steps(highest: float, last: float) -> None:
    svg = chart(Line("a", [Point(2, highest)]), x=Axis("", [(2, "x")]))
    ticks = [float(each) for each in labels(svg) if re.fullmatch(r"[\d.]+", each)]
    assert (ticks[0], ticks[-1]) == (0, pytest.approx(last))
    assert len(ticks) <= 7
    steps = {round(later - earlier, 9) for earlier, later in pairwise(ticks)}
    assert len(steps) == 1


def test_an_interval_is_drawn_and_fits() -> None:
    svg = chart(Line("a", [Point(2, 30, low=20, high=58)]))
    (whiskers,) = (each.get("d", "") for each in svg.iter(SVG + "path"))
    heights = [float(each) for each in re.findall(r"[MV](?:[\d.]+ )?([\d.]+)", whiskers)]
    where = labels(svg)
    assert max(heights) == pytest.approx(where["20"][1] - 4, abs=0.11)
    assert min(heights) > where["60"][1] - 4


def test_a_lone_point_is_not_joined_and_a_line_without_points_stands_in_the_legend() -> None:
    svg = chart(Line("lone", [Point(4, 12)]), Line("empty", []))
    assert joined(svg) == []
    assert {"lone", "empty"} <= labels(svg).keys()
    assert len(list(svg.iter(SVG + "circle"))) == 2


def test_nine_lines_have_nine_looks() -> None:
    svg = chart(*(Line(f"line {k}", [Point(2, k), Point(4, k)]) for k in range(9)))
    shapes = [
        each for each in svg if each.tag in {SVG + "circle", SVG + "rect", SVG + "path"} and each.get("fill") != "white"
    ]
    looks = {(each.tag, re.sub(r"[\d.]+ [\d.]+", "", each.get("d", ""), count=1), each.get("fill")) for each in shapes}
    assert len(looks) == 9


def test_everything_lies_inside_and_hostile_text_stays_text() -> None:
    name = "<script>alert('&')</script>\x00\u2028 " + "long " * 20
    svg = chart(Line(name, [Point(8, 5)]), title="a < b & \"c\" 'd'")
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    for text, (x, y) in labels(svg).items():
        assert 0 <= x <= width
        assert 0 <= y <= height
        if text.startswith("<script>"):
            assert x + 6 * len(text) < width, "the legend has room for its longest name"
    assert svg.findtext(SVG + "title") == "a < b & \"c\" 'd'"


def test_values_are_told_to_those_who_cannot_see_them() -> None:
    svg = chart(Line("attend", [Point(2, 10), Point(8, 50.04)]), Line("repeat", [Point(2, 3)]))
    (said,) = (each.text for each in svg.iter(SVG + "desc"))
    assert said == "attend: 10.0 at 4, 50.0 at 256; repeat: 3.0 at 4"
