"""Draw docs/results/*.png from the rows beside them: `python scripts/draw_results.py` (the same bytes each time).

methods.csv and methods_cifar.csv hold what the tables of methods.md say, in %, with the ends of the 95 % intervals.
"""

import csv
import sys
from pathlib import Path

from peftlab.figure.forest import Row, Words, draw_forest
from peftlab.report.family import HEAD_ALONE, family, order

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SHOWN = ("mean", "tail")
TITLES = {
    "methods": "MSTAR-LT (imbalance 50): mean over 3 seeds, 95 % t interval",
    "methods_cifar": "CIFAR-100-LT (imbalance 100): one run each, 95 % Wilson interval over test images",
}


def draw(name: str, folder: Path) -> list[Path]:
    """The forest plot of one table, as PNG."""
    with (RESULTS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        found = sorted(csv.DictReader(file), key=lambda row: order(row["method"]))
    rows = [
        Row(
            row["method"],
            family(row["method"]),
            tuple((float(row[key]), float(row[f"{key}_low"]), float(row[f"{key}_high"])) for key in SHOWN),
            f"{int(row['trained']):,}",
        )
        for row in found
    ]
    axes = tuple(f"{key} accuracy (test, %)" for key in SHOWN)
    words = Words(
        TITLES[name], axes, "trained", "dashed line: the head alone; trained: parameters beside the head"
    )
    return draw_forest(rows, HEAD_ALONE, words, folder / f"{name}.png")


if __name__ == "__main__":
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    for name in TITLES:
        print(*draw(name, to))
