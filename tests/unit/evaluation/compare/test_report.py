"""The page: a row a model, every condition said, nothing claimed that differs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from regard.config import parse
from regard.evaluation.compare import Candidate, Entry, Measured, write_comparison
from regard.saved.manifest import sha256, write_manifest
from regard.training.recipe import Recipe

ENCODER = {"name": "efficientnet_lite0", "weights": None}
COMMAND = "regard compare recipes/*.yaml"


def entry(name: str, *, vector: int = 256, cider: float = 40.0, machine: str = "A CPU", **changes: Any) -> Entry:
    decoder = changes.pop("decoder", {"name": "repeat", "image_vector": vector})
    values = {
        "name": name,
        "data": {"format": "flickr8k", "folder": "data/squares"},
        "model": {"encoder": ENCODER, "bridge": {"dim": 256}, "decoder": decoder},
        "phases": [{"epochs": 4}],
        **changes,
    }
    recipe = parse(Recipe, values, origin=name)
    path, folder = Path("my recipes") / f"{name}.yaml", Path("runs") / name
    measured = Measured(
        scores={"count": 1000, "bleu4": cider / 3, "cider": cider, "signature": "regard|captions|v1"},
        trained=1_234_567,
        decoder=765_432,
        seconds=1234.5,
        best_epoch=3,
        machine=machine,
        versions="regard 0",
    )
    return Entry(Candidate(path, recipe, folder, ("seed=1",), f"what {name} is", vector), measured)


def write(tmp_path: Path, *entries: Entry) -> str:
    page = tmp_path / "page.md"
    write_comparison(entries, page, command=COMMAND)
    return page.read_text(encoding="utf-8")


def tables(page: str) -> list[list[list[str]]]:
    """Each table of the page as rows of cells."""
    found: list[list[list[str]]] = [[]]
    for line in page.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.split("|")[1:-1]])
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_a_row_a_model_with_every_figure(tmp_path: Path) -> None:
    two = replace(entry("two", decoder={"name": "feedback"}), p_value=0.0321, low=38.31, high=42.04)
    main, commands = tables(write(tmp_path, entry("one", cider=41.26), two))
    assert all(len(row) == len(main[0]) for row in main)
    expected = ["`one`", "what one is", "256", "41.3", "13.8", "", "", "1,234,567", "765,432", "1,234", "3 of 4"]
    assert main[2] == expected
    assert [row[0] for row in main[2:]] == ["`one`", "`two`"]
    assert [row[5:7] for row in (main[0], main[3])] == [["95 %", "p"], ["38.3 to 42.0", "0.032"]]
    assert commands[2][1:] == [
        "0",
        "`regard train 'my recipes/one.yaml' --output runs/one --set seed=1`",
    ]


def test_captioners_have_the_scores_of_captions_whatever_the_format_is_called(tmp_path: Path) -> None:
    data = {"format": "captions", "folder": "data/squares"}
    main, _ = tables(
        write(tmp_path, entry("one", cider=41.26, data=data), entry("two", data={**data, "format": "coco"}))
    )
    assert main[0][3:5] == ["CIDEr-D", "BLEU-4"]
    assert main[2][3:5] == ["41.3", "13.8"]


def test_the_conditions_are_said(tmp_path: Path) -> None:
    page = write(tmp_path, entry("one"), entry("two", decoder={"name": "feedback"}))
    assert page.count("`regard|captions|v1`") == 1
    for said in (
        COMMAND,
        "squares",
        "`train`",
        "`dev`",
        "1,000 inputs",
        "4 epochs, 40 inputs a step",
        "beam 5",
        "A CPU",
        "regard 0",
        "seed 0",
    ):
        assert said in page
    assert "are the same for all" in page


def test_what_differs_is_not_hidden(tmp_path: Path) -> None:
    page = write(tmp_path, entry("one"), entry("two", phases=[{"epochs": 5}], machine="Another CPU"))
    assert "`phases.0.epochs` (4, 5)" in page
    assert "are the same for all" not in page
    assert "A CPU; Another CPU" in page


def test_models_that_differ_in_their_vector_alone_get_a_table_and_a_chart(tmp_path: Path) -> None:
    attend = [entry(f"attend-{size}", vector=size, model=attending(size), cider=20.0 + size) for size in (64, 16)]
    page = write(tmp_path, entry("narrow", vector=16, cider=12.5), entry("wide", vector=64), *attend)
    main, sizes, _ = tables(page)
    assert sizes[0] == ["model", "64", "16"]
    assert sizes[2:] == [["`attend-64`", "84.0", "36.0"], ["`wide`", "40.0", "12.5"]], "the best first"
    assert [row[0] for row in main[2:]] == ["`attend-64`", "`attend-16`", "`wide`", "`narrow`"]
    chart = ElementTree.parse(tmp_path / "images" / "vector-size.svg").getroot()
    assert "wide: 12.5 at 16, 40.0 at 64" in (chart.findtext("{http://www.w3.org/2000/svg}desc") or "")
    assert "(images/vector-size.svg)" in page


def test_another_budget_is_another_family(tmp_path: Path) -> None:
    page = write(tmp_path, entry("wide", vector=64), entry("narrow", vector=16, seed=3))
    assert "size of the vector" not in page
    assert not (tmp_path / "images").exists()


def test_the_json_beside_it_holds_everything(tmp_path: Path) -> None:
    write(tmp_path, entry("one"), entry("two", seed=3))
    values = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    assert values["command"] == COMMAND
    assert values["differences"] == {"seed": [0, 3]}
    assert values["models"][1] == {
        "name": "two",
        "about": "what two is",
        "vector": 256,
        "count": 1000,
        "bleu4": 40 / 3,
        "cider": 40.0,
        "interval": None,
        "signature": "regard|captions|v1",
        "parameters": {"trained": 1_234_567, "decoder": 765_432},
        "seconds": 1234.5,
        "best_epoch": 3,
        "p_value": None,
        "seed": 3,
        "command": "regard train 'my recipes/two.yaml' --output runs/two --set seed=1",
        "machine": "A CPU",
        "versions": "regard 0",
    }


def test_seeds_are_one_row_with_their_mean_and_spread(tmp_path: Path) -> None:
    runs = [entry("one", cider=cider, seed=seed) for seed, cider in enumerate((40.0, 42.0, 44.0))]
    other = entry("two", cider=30.0, decoder={"name": "feedback"})
    page = write(tmp_path, *(replace(run, low=39.0, high=45.5) for run in runs), other)
    main, commands = tables(page)
    assert [row[3:6] for row in main[2:]] == [["42.0 ± 2.0", "14.0 ± 0.7", "39.0 to 45.5"], ["30.0", "10.0", ""]]
    assert [row[1] for row in commands[2:]] == ["0", "1", "2", "0"]
    model = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))["models"][0]
    assert (model["cider"], model["spread"]["cider"], model["interval"]) == (42.0, 2.0, [39.0, 45.5])
    assert [run["cider"] for run in model["runs"]] == [40.0, 42.0, 44.0]


def test_the_html_has_the_tables_the_charts_and_texts_side_by_side(tmp_path: Path) -> None:
    entries = [entry(name, vector=size) for name, size in (("wide", 64), ("narrow", 16))]
    for number, each in enumerate(entries):
        folder = tmp_path / each.candidate.name
        (folder / "best").mkdir(parents=True)
        write_manifest(folder / "best")
        former = [{"step": 1, "cider": 99.0}]
        rows = [*former, *({"step": step, "cider": 10.0 * step + number} for step in range(3))]
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        texts = {"inputs": ["a.jpg"], "hypotheses": [f"a <dog> {number}"], "references": [["a dog", "dog"]]}
        model = sha256(folder / "best" / "manifest.json")
        (folder / "validation.json").write_text(json.dumps({"version": 1, "model": model, **texts}))
        entries[number] = replace(each, candidate=replace(each.candidate, folder=folder))
    write(tmp_path, *entries)
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count("<svg ") == 3
    assert "wide: 0.0 at 0, 10.0 at 1, 20.0 at 2" in html
    assert "<td>a.jpg</td><td>a &lt;dog&gt; 0</td><td>a &lt;dog&gt; 1</td><td>a dog</td>" in html
    assert html.count("<table>") == 4


def attending(size: int) -> dict[str, Any]:
    return {"encoder": ENCODER, "bridge": {"dim": size}, "decoder": {"name": "attend"}}
