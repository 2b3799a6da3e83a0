"""What a race would have cost and chosen, replayed on the recorded curves of whole grids.

    python scripts/replay_race.py record SWEEP_FOLDER docs/results/race/NAME.csv   # of runs with fit.eval_every=1 and validation
    python scripts/replay_race.py                                                  # docs/results/race/*.csv -> race.md, race.png

Cost is the epochs that a policy trains, as a share of those of the grid. Regret is the best cell of the grid on test (mean
over the seeds) less the cell that the policy chooses on validation, for mean and tail, each against its own best: what one
loses to somebody who looks at the test split. The whole grid, chosen on validation, has a regret too: what a race adds to
it is the column "mean, against the whole grid" (below 0: the race chose better). Policies decide as `hydra/sweeper=racing`
does, by the same function.
Grids: `peftlab -m seed=0,1,2 placement.depth=0-2,3-5,6-8,9-11 placement.position=q,k,v,out,mlp1,mlp2 optim.lr=0.01 fit.epochs=8
fit.eval_every=1 dataset.val_fraction=0.2 device=cpu` (digits_lt: 56 validation images, 901 test images); with dataset=mstar10_lt
and positions q, v, mlp1 (mstar10_lt: 167, 2,425); and `seed=0,1,2 optim.lr=0.0003,0.003,0.03,0.3 peft=lora,adaptformer,bitfit,ssf`
with dataset.val_fraction=0.3 (digits_lt_lr: seed 0, without a cell that diverged).
All at commit 917332c, one thread a run; seeds that some cell lacks are left out.
Intervals: 2.5 and 97.5 % over all draws of the seeds with replacement (27 with three).
"""

import csv
import sys
from collections.abc import Iterator
from itertools import product
from math import nan
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np

from peftlab.report.cell import Bounds, Cell, varying
from peftlab.report.job import read
from peftlab.report.race.curve import curve
from peftlab.report.race.policy import Policy, judge

PLACE = Path(__file__).parents[1] / "docs" / "results" / "race"
METRIC = "mean_acc"
TESTED = ("mean", "tail")
HEAD = ["cell", "seed", "epoch", "val", "low", "high", *TESTED]
WHOLE = Policy((), None, False, METRIC)
EIGHTHS = (0.125, 0.25, 0.5)
POLICIES = {
    "whole grid": WHOLE,
    "clear": Policy(EIGHTHS, None, True, METRIC),
    "keep 1/2 (default)": Policy(EIGHTHS, 0.5, True, METRIC),
    "keep 1/3": Policy(EIGHTHS, 1 / 3, True, METRIC),
    "keep 1/4": Policy(EIGHTHS, 0.25, True, METRIC),
    "keep 1/4 at 1/8": Policy((0.125,), 0.25, False, METRIC),
    "keep 1/8 at 1/8": Policy((0.125,), 0.125, False, METRIC),
    "keep 1/4 at 1/4": Policy((0.25,), 0.25, False, METRIC),
    "keep 1/2, 1/4 and 1/2": Policy((0.25, 0.5), 0.5, False, METRIC),
}


class Run(NamedTuple):
    """A run of a grid: validation by epoch, and its test numbers as fractions."""

    val: dict[int, Bounds]
    test: dict[str, float]


Grid = dict[str, dict[int, Run]]  # cell -> seed -> run


class Outcome(NamedTuple):
    """Of one replay: epochs as a share of the grid's, and what is lost in percentage points."""

    cost: float
    regret: dict[str, float]


def record(sweep: Path, file: Path) -> None:
    """The curves and test numbers of a finished grid as CSV."""
    jobs = [job for job in read(sweep) if job.state == "ok"]
    keys = varying([Cell(job.choices, []) for job in jobs])
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(HEAD)
        for job in jobs:
            found = curve(job.folder, METRIC)
            for epoch, bounds in found.items():
                tested = [job.metrics[f"test/{name}_acc"] if epoch == max(found) else nan for name in TESTED]
                numbers = ["" if value != value else f"{value:.4f}" for value in (*bounds, *tested)]
                rows.writerow([Cell(job.choices, []).label(keys), job.seed, epoch, *numbers])


def load(file: Path) -> Grid:
    """The inverse of `record`; a seed that some cell lacks is left out."""
    grid: Grid = {}
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            run = grid.setdefault(row["cell"], {}).setdefault(int(row["seed"]), Run({}, {}))
            run.val[int(row["epoch"])] = tuple(float(row[key] or nan) for key in ("val", "low", "high"))
            run.test.update({name: float(row[name]) for name in TESTED if row[name]})
    whole = set.intersection(*({seed for seed, run in runs.items() if run.test} for runs in grid.values()))
    return {cell: {seed: runs[seed] for seed in sorted(whole)} for cell, runs in grid.items()}


def replay(grid: Grid, policy: Policy) -> Outcome:
    """One race over all seeds of the grid."""
    epochs = max(max(run.val) for runs in grid.values() for run in runs.values())
    left, trained, at = list(grid), 0.0, 0
    for rung in range(len(policy.rungs)):
        epoch = policy.epochs(rung, epochs, 1)
        if epoch is None or len(left) < 2:
            continue
        trained, at = trained + len(left) * (epoch - at), epoch
        found = judge(
            policy, {cell: {seed: run.val[epoch] for seed, run in grid[cell].items()} for cell in left}
        )
        left = [cell for cell in left if found[cell].stops is None]
    trained += len(left) * (epochs - at)
    final = {cell: fmean(run.val[epochs][0] for run in grid[cell].values()) for cell in left}
    chosen = max(final, key=lambda cell: final[cell])  # the first of equals
    tests = {name: {cell: test(grid, cell, name) for cell in grid} for name in TESTED}
    regret = {name: 100 * (max(found.values()) - found[chosen]) for name, found in tests.items()}
    return Outcome(trained / (epochs * len(grid)), regret)


def test(grid: Grid, cell: str, name: str) -> float:
    """The mean over seeds."""
    return fmean(run.test[name] for run in grid[cell].values())


def drawn(grid: Grid, number: int) -> Iterator[Grid]:
    """The grid with `number` seeds: all draws with replacement, or each alone."""
    seeds = list(next(iter(grid.values())))
    for draw in product(seeds, repeat=number):
        yield {cell: {place: runs[seed] for place, seed in enumerate(draw)} for cell, runs in grid.items()}


def chance(grid: Grid) -> dict[str, float]:
    """The regret of a cell that is drawn without looking."""
    return {
        name: 100
        * (max(test(grid, cell, name) for cell in grid) - fmean(test(grid, cell, name) for cell in grid))
        for name in TESTED
    }


def text(value: float, draws: list[float]) -> str:
    """A value with the ends of its interval."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def table(name: str, grid: Grid) -> tuple[list[str], dict[str, list[float]]]:
    """The lines of one data set, and what the picture shows: cost, regret of mean and its ends, by policy."""
    number = len(next(iter(grid.values())))
    columns = ["policy", "cost", "regret of mean", "regret of tail", "mean, against the whole grid"]
    columns += ["cost, one seed", "regret of mean", "regret of tail"]
    lines = [f"## {name}: {len(grid)} cells, {number} seeds", "", f"| {' | '.join(columns)} |"]
    lines.append("|---" * len(columns) + "|")
    grids, singles, shown = list(drawn(grid, number)), list(drawn(grid, 1)), {}
    against = [replay(draw, WHOLE).regret["mean"] for draw in grids]
    for word, policy in POLICIES.items():
        own, draws = replay(grid, policy), [replay(draw, policy) for draw in grids]
        single = [replay(draw, policy) for draw in singles]
        regrets = {key: [draw.regret[key] for draw in draws] for key in TESTED}
        more = [mine - whole for mine, whole in zip(regrets["mean"], against, strict=True)]
        cells = [word, f"{own.cost:.2f}", *(text(own.regret[key], regrets[key]) for key in TESTED)]
        cells.append(text(own.regret["mean"] - replay(grid, WHOLE).regret["mean"], more))
        cells.append(f"{fmean(one.cost for one in single):.2f}")
        cells += [ends([one.regret[key] for one in single]) for key in TESTED]
        lines.append(f"| {' | '.join(cells)} |")
        shown[word] = [own.cost, own.regret["mean"], *np.percentile(regrets["mean"], [2.5, 97.5])]
    luck, share = chance(grid), f"{1 / len(grid):.2f}"
    lines.append(f"| a cell at random | {share} | {luck['mean']:.2f} | {luck['tail']:.2f} | | | | |")
    return [*lines, ""], shown


def ends(values: list[float]) -> str:
    """A mean with the smallest and the largest value."""
    return f"{fmean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def draw(shown: dict[str, dict[str, list[float]]], file: Path) -> None:
    """Regret against cost, one panel a data set."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(shown), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, points) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        for word, (cost, regret, low, high) in points.items():
            ends = [[max(0.0, regret - low)], [max(0.0, high - regret)]]
            axes.errorbar(cost, regret, yerr=ends, fmt="o", capsize=3, label=word)
        axes.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
        axes.axvline(0.25, color="grey", linewidth=0.8, linestyle=":")
        axes.set(
            title=name, xlabel="cost (share of the grid's epochs)", ylabel="regret of mean accuracy (points)"
        )
        axes.set_xlim(0, 1.05)
    axes.legend(fontsize=7)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def main() -> None:
    if sys.argv[1:2] == ["record"]:
        record(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    head = [
        "# Races, replayed",
        "",
        "Made by `python scripts/replay_race.py`, whose head says what the columns are and how the grids were recorded.",
        "",
    ]
    lines, shown = head, {}
    for file in sorted(PLACE.glob("*.csv")):
        more, shown[file.stem] = table(file.stem, load(file))
        lines += more
    (PLACE / "race.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    draw(shown, PLACE / "race.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
