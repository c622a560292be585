"""The page: every figure, where it came from, and why one is missing."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from page import Report, markdown, table, write_page
from rows import Outcome, Plot, Row, compared, unmeasured

FASTER = Row(work="train", peer="textbook", unit="tokens/s", ours=5012.3, theirs=830.0, share=0.446)
SMALLER = Row(work="memory", peer="plain", unit="MB", ours=12.34, theirs=99.9, more_is_better=False)
PLOT = Plot(
    "beam", "Time & beam", "beam", "ms", {"ours": [(1, 2.0), (4, 3.5)], "plain": [(1, 3.0), (4, 9.0)]}, "Text.", True
)


def report(*, quick: bool = False) -> Report:
    absent = unmeasured("translate", ["JoeyNMT"], "No module named 'joeynmt'")
    outcomes = {"a": Outcome([FASTER, SMALLER], [PLOT], ["On captions"], 1.2e11), "b": Outcome(absent)}
    return Report(
        command="make bench",
        commit="abc1234",
        machine="a processor, 2 cores, 2 threads",
        versions="regard 0, torch 0",
        repetitions=3,
        seconds=125.0,
        quick=quick,
        outcomes=outcomes,
    )


def test_ratios_say_how_many_times_better_ours_is() -> None:
    assert FASTER.ratio == 5012.3 / 830
    assert SMALLER.ratio == 99.9 / 12.34
    assert unmeasured("w", ["p"], "why")[0].ratio is None


def test_a_row_compares_a_work_with_each_peer() -> None:
    pairs, titles = [("ours", "a"), ("ours", "b"), ("too", "a")], {"a": "A, alone"}
    values = {"ours": 30.0, "too": 20.0, "a": 15.0}
    rows = compared(pairs, values, unit="ms", shares={"ours": 0.5}, titles=titles, more_is_better=False, missing="no b")
    assert [(row.work, row.peer, row.ours, row.theirs, row.ratio) for row in rows] == [
        ("ours", "A, alone", 30.0, 15.0, 0.5),
        ("ours", "b", 30.0, None, None),
        ("too", "A, alone", 20.0, 15.0, 0.75),
    ]
    assert [(row.share, row.missing) for row in rows] == [(0.5, ""), (0.5, "no b"), (None, "")]


def test_the_table_is_straight_and_says_what_is_missing() -> None:
    lines = table(report().rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["train", "5,012 tokens/s", "textbook", "830 tokens/s", "6.0 ×", "45%"]
    assert cells[3] == ["memory", "12.3 MB", "plain", "99.9 MB", "8.1 ×", ""]
    assert cells[4][1:4] == ["not measured", "JoeyNMT", "not measured: No module named 'joeynmt'"]


def test_the_page_holds_hardware_versions_command_and_commit() -> None:
    page = markdown(report())
    for said in (
        "make bench",
        "abc1234",
        "a processor, 2 cores",
        "torch 0",
        "2.1 minutes",
        "120 to 120 GFLOP/s",
        "On captions.",
    ):
        assert said in page
    assert "figures say little" not in page
    assert "figures say little" in markdown(report(quick=True))


def test_the_page_its_data_and_its_plots_are_written(tmp_path: Path) -> None:
    written = write_page(report(), tmp_path / "docs" / "performance.md")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "docs/performance.md",
        "docs/performance.json",
        "docs/images/performance-beam.svg",
    ]
    assert "](images/performance-beam.svg)" in written[0].read_text(encoding="utf-8")
    assert json.loads(written[1].read_text(encoding="utf-8"))["outcomes"]["a"]["rows"][0]["ours"] == 5012.3
    svg = ElementTree.fromstring(written[2].read_text(encoding="utf-8"))
    ticks = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1", "4", "Time & beam"} <= set(ticks)


def test_what_was_measured_travels_as_one_line() -> None:
    outcome = report().outcomes["a"]
    line = outcome.to_json()
    assert "\n" not in line
    again = Outcome.from_json(line)
    assert (again.rows, again.facts, again.rate) == (outcome.rows, outcome.facts, outcome.rate)
    assert [plot.name for plot in again.plots] == ["beam"]
    assert again.to_json() == line
