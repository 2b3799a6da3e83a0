"""Ways to choose sites at one budget: what each costs, and what it loses to the best cell of the grid on test.

    python scripts/regret_cost.py record FOLDER FOLDER FOLDER   # sweeps of experiment=selectors and experiment=selectors_grid
    python scripts/regret_cost.py                               # docs/results/selectors/runs.csv -> selectors.md, selectors.png

Regret is the best cell of the grid on test (mean over the seeds) less what a way ends with, for mean and tail, each against its
own best: below 0, a way is better than every cell. Who trains the whole grid chooses by validation, and so does the race, which
is replayed on the curves of the grid by the policy that `hydra/sweeper=racing` has; its cost is a share of the grid's epochs. A
cell at random is one that is drawn. Cost is the time from the start to the end of training, scores of sites and gammas
included, in runs: the median over seeds, divided by that of one factor at all sites. Runs that share their steps have no time of
their own: none of the sweeps with `hydra/launcher=fused`.
Intervals: Student's over seeds of the paired difference, and of grid and race 2.5 and 97.5 % over all draws of the seeds with
replacement.
"""

import csv
import sys
from collections import defaultdict
from math import nan
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import numpy as np
from replay_race import METRIC, POLICIES, TESTED, WHOLE, Grid, Run, drawn, replay, test

from peftlab.report.job import Job, read
from peftlab.report.race.curve import curve
from peftlab.statistics.interval import paired_difference

PLACE = Path(__file__).parents[1] / "docs" / "results" / "selectors"
GRID, ALL = "grid", "all sites, scaling="
UNIT = f"{ALL}fixed"  # costs one run
HEAD = ["way", "cell", "seed", "seconds", "epoch", "val", "low", "high", *TESTED]
DEFAULT = "keep 1/2 (default)"


class Way(NamedTuple):
    """What the picture and the table show of one: cost in runs, regret with the ends of its interval by metric."""

    cost: float
    regret: dict[str, tuple[float, float, float]]


def way_of(job: Job) -> tuple[str, str]:
    """How the sites of a run were chosen, and which cell of the grid it is."""
    rule, depth = job.choices.get("placement", GRID), job.choices.get("placement.depth", "")
    if rule != GRID:
        return rule, ""
    if depth == "all":
        return f"{ALL}{job.flat['scaling']}", ""
    return GRID, f"depth={depth} position={job.choices['placement.position']}"


def record(sweeps: list[Path], file: Path) -> None:
    """The runs of finished sweeps as CSV: of each a line for each epoch that was validated, and one at least."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(HEAD)
        for job in (job for sweep in sweeps for job in read(sweep) if job.state == "ok"):
            seconds = job.result["seconds"]
            spent = f"{seconds['start'] + seconds['train']:.2f}"
            found = curve(job.folder, METRIC) or {0: (nan, nan, nan)}
            for epoch, bounds in found.items():
                tested = [job.metrics[f"test/{name}_acc"] for name in TESTED]
                numbers = ["" if value != value else f"{value:.4f}" for value in (*bounds, *tested)]
                rows.writerow([*way_of(job), job.seed, spent, epoch, *numbers])


class Runs(NamedTuple):
    """Runs by way, cell and seed, and the seconds of each by way."""

    ways: dict[str, Grid]
    seconds: dict[str, dict[tuple[str, int], float]]


def load(file: Path) -> Runs:
    """The inverse of `record`; a seed that some run lacks is left out."""
    ways: dict[str, Grid] = defaultdict(dict)
    seconds: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            seed = int(row["seed"])
            run = ways[row["way"]].setdefault(row["cell"], {}).setdefault(seed, Run({}, {}))
            run.val[int(row["epoch"])] = tuple(float(row[key] or nan) for key in ("val", "low", "high"))
            run.test.update({name: float(row[name]) for name in TESTED})
            seconds[row["way"]][row["cell"], seed] = float(row["seconds"])
    cells = [runs for way in ways.values() for runs in way.values()]
    whole = set.intersection(*(set(runs) for runs in cells))
    kept = {
        way: {cell: {seed: runs[seed] for seed in sorted(whole)} for cell, runs in grid.items()}
        for way, grid in ways.items()
    }
    return Runs(kept, seconds)


def ways(runs: Runs) -> dict[str, Way]:
    """Each of them, the cheapest first."""
    grid, one = runs.ways[GRID], median(runs.seconds[UNIT].values())
    best = {name: max(grid, key=lambda cell: test(grid, cell, name)) for name in TESTED}
    found = {}
    for way, cells in runs.ways.items():
        if way != GRID:
            (own,) = cells.values()
            regret = {name: _regret(grid[best[name]], own, name) for name in TESTED}
            found[way] = Way(median(runs.seconds[way].values()) / one, regret)
    share = median(runs.seconds[GRID].values()) / one
    draws = list(drawn(grid, len(next(iter(grid.values())))))
    for word, policy in (("whole grid", WHOLE), ("race", POLICIES[DEFAULT])):
        own, lost = replay(grid, policy), [replay(draw, policy).regret for draw in draws]
        ends = {name: np.percentile([each[name] for each in lost], [2.5, 97.5]) for name in TESTED}
        regret = {name: (own.regret[name], float(ends[name][0]), float(ends[name][1])) for name in TESTED}
        found[word] = Way(share * len(grid) * own.cost, regret)
    found["a cell at random"] = Way(share, {name: _at_random(grid, best[name], name) for name in TESTED})
    return dict(sorted(found.items(), key=lambda item: item[1].cost))


def _regret(best: dict[int, Run], own: dict[int, Run], name: str) -> tuple[float, float, float]:
    first, second = ({seed: 100 * run.test[name] for seed, run in runs.items()} for runs in (best, own))
    mean, half, _ = paired_difference(first, second)
    return mean, mean - half, mean + half


def _at_random(grid: Grid, best: str, name: str) -> tuple[float, float, float]:
    """Of the mean over all cells."""
    seeds = grid[best]
    drawn = {seed: Run({}, {name: fmean(runs[seed].test[name] for runs in grid.values())}) for seed in seeds}
    return _regret(seeds, drawn, name)


def lines(found: dict[str, Way], num_seeds: int, num_cells: int) -> list[str]:
    """The table in Markdown."""
    head = [
        "# Ways to choose sites: regret against cost",
        "",
        "Made by `python scripts/regret_cost.py`, whose head says what the columns are and which runs they are made of.",
        "",
        f"{num_cells} cells, {num_seeds} seeds. Cost in runs, regret in percentage points.",
        "",
        "| way | cost | regret of mean | regret of tail |",
        "|---|--:|---|---|",
    ]
    text = "{:.2f} ({:.2f} to {:.2f})"
    return head + [
        f"| {way} | {own.cost:.2f} | {' | '.join(text.format(*own.regret[name]) for name in TESTED)} |"
        for way, own in found.items()
    ]


def draw(found: dict[str, Way], file: Path) -> None:
    """Regret against cost, a panel for mean and one for tail."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    markers = "osD^v<>Xph*P"
    for axes, name in zip(figure.subplots(1, len(TESTED)), TESTED, strict=True):
        for number, (way, own) in enumerate(found.items()):
            regret, low, high = own.regret[name]
            ends = [[max(0.0, regret - low)], [max(0.0, high - regret)]]
            marker = markers[number % len(markers)]
            axes.errorbar(own.cost, regret, yerr=ends, fmt=marker, capsize=3, label=way)
        axes.axhline(0, color="grey", linewidth=0.8, linestyle=":")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="cost (runs)", ylabel=f"regret of {name} accuracy (points)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def main() -> None:
    if sys.argv[1:2] == ["record"]:
        record([Path(word) for word in sys.argv[2:]], PLACE / "runs.csv")
        return
    runs = load(PLACE / "runs.csv")
    grid, found = runs.ways[GRID], ways(runs)
    text = "\n".join(lines(found, len(next(iter(grid.values()))), len(grid))) + "\n"
    (PLACE / "selectors.md").write_text(text, encoding="utf-8")
    draw(found, PLACE / "selectors.png")
    print(text)


if __name__ == "__main__":
    main()
