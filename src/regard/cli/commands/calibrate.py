"""``regard calibrate``: calibrate a captioner's confidence."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.option_groups import with_option_groups
from regard.cli.options import AsJson, Computing
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, echo_note, table
from regard.errors import ConfigError

if TYPE_CHECKING:
    from regard.evaluation.calibrate import CalibrationReport

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A captioner: the folder of a model or a run, or a name.")]
Data = Annotated[list[Path], typer.Argument(metavar="DATA", help="Folders of captioned images.")]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split of each; the model must not have learned from it.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Measure, and leave the model as it is.")]


@with_option_groups(without=["shortlist", "workers", "runtime", "precision"])
def calibrate(
    model: Model,
    data: Data,
    split: Split = "dev",
    dry_run: Dry = False,
    *,
    computing: Computing,
    as_json: AsJson = False,
) -> None:
    """Fit how often a captioner's words and captions are right on half of some photos, measure it on the other half,
    and store it with the model."""
    from regard.evaluation.calibrate import calibrate as fit
    from regard.evaluation.calibrate import save_calibration
    from regard.pipeline import Captioner, load
    from regard.saved.bundle import find_bundle

    with load(model, **asdict(computing)) as loaded, ShownProgress() as progress:
        if not isinstance(loaded, Captioner):
            raise ConfigError(f"{model} is a translator", allowed="a captioner")
        report = fit(loaded, data, split=split, progress=progress)
    _show(report, as_json=as_json)
    if not dry_run:
        echo_note(f"stored in {save_calibration(report.calibration, find_bundle(model))}")


def _show(report: CalibrationReport, *, as_json: bool) -> None:
    if as_json:
        measured = {"measured": report.rows(), "reliability": report.bins, "bars": report.bars}
        echo_json({**measured, **report.calibration.to_dict()})
        return
    rows: list[tuple[str, ...]] = [
        ("on photos it did not see", "count", "right", "ECE", "AUROC", "95 %", "P@50", "P@80")
    ]
    for each in report.measured:
        numbers = (f"{each.right:.3f}", f"{each.error:.3f}", f"{each.roc_area:.3f}", f"{each.low:.3f}-{each.high:.3f}")
        rows.append((each.what, str(each.count), *numbers, f"{each.precision_half:.3f}", f"{each.precision_most:.3f}"))
    for line in table(rows):
        echo(line)
    echo("reliability of word evidence: " + "  ".join(f"{mean:.2f} is {share:.2f}" for mean, share, _ in report.bins))
    bars = ", ".join(f"{100 * bar:.1f} ({name})" for name, bar in report.bars.items())
    echo(f"captions are accepted from this CIDEr-D on: {bars}")
