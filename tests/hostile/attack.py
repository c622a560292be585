"""Attack regard with what is odd, damaged or hostile, and say what came of it.

    python tests/hostile/attack.py [--quick] [--only NAME …] [--seed N]

Every attack tries inputs of one kind. What may come of each is an answer or an error of ours, in bounded time and
memory; anything else is a failure, and is printed with what reproduces it. A line for each says how many were tried and
how many failed, and the slowest and the largest. Exit status 1 where anything failed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from damaged_models import attack_models
from hostile_recipes import attack_recipes
from kills import attack_exits, attack_training, attack_translating
from odd_lines import attack_code_points, attack_lines
from odd_pictures import attack_pictures
from outcome import Outcomes

ATTACKS = {
    "code points": (attack_code_points, 3_000, 1_112_064),
    "lines": (attack_lines, 500, 1_000_000),
    "pictures": (attack_pictures, 60, 4_000),
    "models": (attack_models, 60, 20_000),
    "recipes": (attack_recipes, 300, 10_000),
    "kills in training": (attack_training, 0, 40),
    "kills in translating": (attack_translating, 0, 40),
    "exits with workers": (attack_exits, 0, 200),
}
"""Each with its number of inputs, quick and whole."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small part of it, in half a minute")
    parser.add_argument("--only", nargs="*", choices=ATTACKS, help="these attacks alone")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs")
    parser.add_argument("--count", type=int, help="how many inputs of each, in place of the usual number")
    chosen = parser.parse_args()
    tables = []
    for name in chosen.only or ATTACKS:
        attack, quick, whole = ATTACKS[name]
        count = chosen.count if chosen.count is not None else quick if chosen.quick else whole
        if count:
            outcomes = Outcomes(name)
            began = time.monotonic()
            attack(count, random.Random(chosen.seed), outcomes)
            tables.append(outcomes.row(time.monotonic() - began))
            print(tables[-1], flush=True)
    return 1 if any(" 0 failed" not in row for row in tables) else 0


if __name__ == "__main__":
    sys.exit(main())
