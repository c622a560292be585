"""Attack regard with what is odd, damaged or hostile, and say what came of it.

    python tests/hostile/attack.py [--quick] [--only NAME …] [--journal FILE] [--report docs/attacks.md]

Each attack tries inputs of one kind. What may come of an attempt is an answer or an error of ours, in bounded time and
memory; anything else is a failure, and is printed. An attempt is a function of the attack and of its number alone, so
``--only models --from 1234 --count 1`` makes it again. The numbers are tried in parts; with a journal, the parts in it
are not tried again, so an attack that was stopped goes on. Exit status 1 where anything failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from damaged_models import attack_models
from folders import attack_folder, attack_large_photos
from hostile_recipes import attack_recipes
from kills import attack_exits, attack_training, attack_translating
from odd_lines import NUM_CODE_POINTS, attack_code_points, attack_lines
from odd_pictures import attack_pictures
from outcome import FAILED, Outcomes


@dataclass(frozen=True)
class Attack:
    """One kind of attempts.

    Attributes:
        run: makes the attempts of these numbers, and adds what came of them.
        quick, whole: how many attempts there are.
        part: how many are made between two entries of the journal.
    """

    run: Callable[[range, Outcomes], None]
    quick: int
    whole: int
    part: int

    def parts(self, first: int, count: int) -> Iterator[range]:
        """The numbers from ``first`` on, spread over all where there are fewer than all, in parts."""
        numbers = range(first, self.whole, 1 if first else max(1, self.whole // count))[:count]
        for start in range(0, len(numbers), self.part):
            yield numbers[start : start + self.part]


ATTACKS = {
    "code points": Attack(attack_code_points, 9_000, NUM_CODE_POINTS, 20_000),
    "lines": Attack(attack_lines, 500, 1_000_000, 10_000),
    "pictures": Attack(attack_pictures, 60, 4_067, 100),
    "models": Attack(attack_models, 60, 20_000, 200),
    "recipes": Attack(attack_recipes, 300, 10_000, 200),
    "kills in training": Attack(attack_training, 0, 40, 5),
    "kills in translating": Attack(attack_translating, 0, 40, 10),
    "exits with workers": Attack(attack_exits, 0, 200, 10),
    "large photos": Attack(attack_large_photos, 0, 50, 50),
}


Result = tuple[Outcomes, float]
"""What came of an attack or of a part of it, and the processor's seconds that it took."""


class Journal:
    """What came of the parts of an attack that were tried, by their numbers, in a file of JSON lines.

    Args:
        path: None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
        self._entries = {tuple(entry["part"]): entry for entry in map(json.loads, lines)}

    def find(self, name: str, part: range) -> Result | None:
        """What came of a part and the seconds that it took; None where it was not tried."""
        entry = self._entries.get((name, part.start, part.stop, part.step))
        return None if entry is None else (Outcomes.from_dict(entry["outcomes"]), entry["seconds"])

    def add(self, name: str, part: range, outcomes: Outcomes, seconds: float) -> None:
        """Keep what came of a part."""
        if self._path is not None:
            key = (name, part.start, part.stop, part.step)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"part": key, "outcomes": outcomes.to_dict(), "seconds": seconds}) + "\n")


def processor_seconds() -> float:
    """The processor's time of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def make(name: str, attack: Attack, numbers: Iterable[range], journal: Journal, until: float) -> Result:
    """Make the parts of an attack that are not in the journal, as long as there is time; what came of all."""
    total, seconds = Outcomes(), 0.0
    for part in numbers:
        tried = journal.find(name, part)
        if tried is None:
            if time.monotonic() > until:
                continue
            outcomes, began = Outcomes(), processor_seconds()
            attack.run(part, outcomes)
            tried = outcomes, processor_seconds() - began
            journal.add(name, part, *tried)
            for failure in outcomes.failures:
                print(f"FAILED {name}: {failure}", flush=True)
        total.merge(tried[0])
        seconds += tried[1]
    return total, seconds


def summary(name: str, outcomes: Outcomes, seconds: float) -> str:
    """One line about an attack."""
    (answered, refused, failed), slowest, largest = outcomes.counts, outcomes.slowest, outcomes.largest
    size = f", largest {largest[0] / 2**20:,.0f} MB ({largest[1]:.60})" if largest[0] else ""
    return (
        f"{name}: {sum(outcomes.counts):,} tried, {failed:,} failed, {answered:,} answered, {refused:,} refused "
        f"in {seconds:,.0f} s; slowest {slowest[0]:.2f} s ({slowest[1]:.60}){size}"
    )


def report(results: dict[str, Result], planned: dict[str, int]) -> str:
    """The page of a run, which may have tried less than what was planned of each attack."""
    from regard.evaluation.compare.machine import describe_machine, describe_versions

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    rows = []
    for name, (outcomes, seconds) in results.items():
        answered, refused, failed = outcomes.counts
        size = f"{outcomes.largest[0] / 2**20:,.0f} MB" if outcomes.largest[0] else ""
        counts = f"{sum(outcomes.counts):,} | {planned[name]:,} | {failed:,} | {answered:,} | {refused:,}"
        rows.append(f"| {name} | {counts} | {outcomes.slowest[0]:.2f} s | {size} | {seconds / 60:,.0f} min |")
    return "\n".join(
        [
            "# Attacks",
            "",
            "<!-- Written by `make test-hostile`; run it again instead of changing this page. -->",
            "",
            "What came of attempts to break regard. An attempt may end in an answer or in an error of one line. All",
            "else is a failure, and so is what takes more than 5 s of the processor or 2 GB of memory.",
            "`tests/hostile/` has the attacks; `make test` makes a small part of most. Times are the processor's.",
            "",
            f"- Commit: {commit.strip()}.",
            f"- Machine: {describe_machine()}.",
            f"- Versions: {describe_versions()}.",
            "",
            "| attack | tried | of | failed | answered | refused | slowest | largest | took |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small part of it, in half a minute")
    parser.add_argument("--only", nargs="*", choices=[*ATTACKS, "folder"], help="these attacks alone")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the number of the first attempt")
    parser.add_argument("--count", type=int, help="how many attempts of each, in place of the usual number")
    parser.add_argument(
        "--folder", type=Path, help="describe this folder of image files, too, such as Tests/images of Pillow"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no part of an attack after so many")
    parser.add_argument("--journal", type=Path, help="keep what came of each part in this file, and go on from it")
    parser.add_argument("--report", type=Path, help="write what came of all in Markdown")
    chosen = parser.parse_args()
    journal, results, attacks = Journal(chosen.journal), {}, dict(ATTACKS)
    if chosen.folder is not None:
        count = sum(path.is_file() for path in chosen.folder.rglob("*"))
        attacks["folder"] = Attack(partial(attack_folder, folder=chosen.folder), 0, count, count)
    for name in chosen.only or attacks:
        attack = attacks[name]
        count = chosen.count if chosen.count is not None else attack.quick if chosen.quick else attack.whole
        if count:
            until = time.monotonic() + 60 * chosen.minutes
            results[name] = make(name, attack, attack.parts(chosen.first, count), journal, until)
            print(summary(name, *results[name]), flush=True)
    if chosen.report is not None:
        planned = {name: attacks[name].whole for name in results}
        chosen.report.write_text(report(results, planned), encoding="utf-8")
    return 1 if any(outcomes.counts[FAILED] for outcomes, _ in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
