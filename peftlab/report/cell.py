"""The jobs of a sweep, grouped into cells that differ only in their seed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, nan, sqrt
from statistics import stdev
from typing import Any

from peftlab.errors import UserError
from peftlab.report.beside import Beside
from peftlab.report.job import Job
from peftlab.report.metric import Metric, headline
from peftlab.statistics.interval import Interval, mean_interval, paired_difference, score_difference

LEVEL = 0.05  # expected share of false marks among differences
DATA = "dataset"  # choices that begin so tell what data a cell reads
Bounds = tuple[
    float, float, float
]  # a value, and the low and high end of its 95 % interval; NaN where there is none


@dataclass(frozen=True)
class Cell:
    """The jobs that differ only in their seed."""

    choices: dict[str, str]
    jobs: list[Job]
    beside: Beside = field(default_factory=Beside, compare=False, repr=False)  # it is one of them, in a sweep

    def label(self, keys: list[str]) -> str:
        """The cell as the command line names it, by these keys of its choices."""
        return ",".join(f"{key}={self.choices[key]}" for key in keys if key in self.choices)

    @cached_property
    def count(self) -> Counter[str]:
        """Number of jobs by state."""
        return Counter(job.state for job in self.jobs)

    @cached_property
    def mixed(self) -> list[str]:
        """The keys of the config at which its finished jobs read different content, as `dataset.path`."""
        done = [job.inputs for job in self.jobs if job.state in ("ok", "diverged")]
        keys = sorted({key for inputs in done for key in inputs})
        return [key for key in keys if len({inputs[key] for inputs in done if key in inputs}) > 1]

    def values(self, metric: str) -> dict[int, float]:
        """Seed -> value over finished jobs; a diverged job is counted beside a mean and never in it.

        None of jobs that read different content.
        """
        if self.mixed:
            return {}
        done = [job for job in self.jobs if job.state == "ok"]
        value = {job.seed or 0: job.metrics.get(f"test/{metric}", nan) for job in done}
        return {seed: x for seed, x in value.items() if isfinite(x)}

    def mean(self, metric: str) -> Interval:
        """Mean over seeds with its 95 % interval, from the variance that the cells beside it have together.

        A cell alone, or one that varies more than the others, has Student's t of its own runs.
        """
        mean, half, n = mean_interval(list(self.values(metric).values()))
        if n and len(self.beside.cells) > 1 and not self.beside.is_apart(metric, self):
            half = self.beside.blocks(metric).half(self._column)
        return Interval(mean, half, n)

    @property
    def _column(self) -> int:
        """Its place among the cells beside it."""
        return next(place for place, cell in enumerate(self.beside.cells) if cell is self)

    def is_mean(self, seeds: bool) -> bool:
        """Whether what is shown of the cell is a mean over runs; `seeds`: its sweep has several."""
        return seeds or len(self.jobs) > 1

    def interval(self, metric: str, seeds: bool) -> Bounds:
        """A mean over runs with its interval, or one run with the score interval over its items; a diverged run has no number."""
        if self.is_mean(seeds):
            mean, half, _ = self.mean(metric)
            return mean, mean - half, mean + half
        if not self.count["ok"]:
            return nan, nan, nan
        get = self.jobs[0].metrics.get
        return get(f"test/{metric}", nan), get(f"test/{metric}_low", nan), get(f"test/{metric}_high", nan)

    def estimate(self, metric: Metric, seeds: bool, ends: str = "{}-{}") -> str:
        """`81.2 ±1.3` over seeds; `81.2 78.1-84.0` for one run, with its interval as `ends` has it; nothing without a number."""
        mean, low, high = self.interval(metric.name, seeds)
        if not isfinite(mean):
            return ""
        if not isfinite(low + high):
            return metric.text(mean)
        if self.is_mean(seeds):
            return f"{metric.text(mean)} ±{metric.text((high - low) / 2)}"
        return f"{metric.text(mean)} {ends.format(metric.text(low), metric.text(high))}"

    def contrast(self, baseline: "Cell", metric: str, seeds: bool) -> Bounds:
        """The difference to the baseline: over common seeds, all cells at once, or of one run over its items."""
        if self.is_mean(seeds) or baseline.is_mean(seeds):
            mean, half, _ = self.difference(baseline, metric)
            return mean, mean - half, mean + half
        return score_difference(self.interval(metric, seeds), baseline.interval(metric, seeds))

    def difference(self, baseline: "Cell", metric: str) -> Interval:
        """Mean difference to the baseline cell, paired by seed; NaN with n = 0 without a common seed.

        The 95 % interval is one for the differences of all cells beside it to the baseline at once (max-t, Dunnett 1955), with
        the error that they have together, or that of the pairs if one of the two varies more than the others; of cells that are
        not beside each other, Student's t of the pairs.
        """
        own, other = self.values(metric), baseline.values(metric)
        if not own.keys() & other.keys():
            return Interval(nan, nan, 0)
        found = paired_difference(own, other)
        if self is baseline or self.beside is not baseline.beside or len(self.beside.cells) < 2:
            return found
        from peftlab.statistics.comparisons import dunnett

        error, df = self.error(baseline, metric)
        return found._replace(half=dunnett(self.beside.num(metric) - 1, df) * error)

    def error(self, baseline: "Cell", metric: str) -> tuple[float, float | int]:
        """Standard error of the mean difference to a cell beside it, with its degrees of freedom; NaN where unknown."""
        own, other = self.values(metric), baseline.values(metric)
        common = own.keys() & other.keys()
        if not self.beside.is_apart(metric, self, baseline):
            blocks = self.beside.blocks(metric)
            return blocks.standard_error(len(common)), blocks.error.df
        if len(common) < 2:
            return nan, 0
        return stdev(own[seed] - other[seed] for seed in common) / sqrt(len(common)), len(common) - 1

    def p_value(self, baseline: "Cell", metric: str) -> float:
        """Of no difference to the baseline, for this cell alone: Student's t with its `error`; NaN where unknown."""
        if self is baseline or self.beside is not baseline.beside:
            return nan
        error, df = self.error(baseline, metric)
        if not isfinite(error):
            return nan
        from peftlab.statistics.blocks import two_sided

        return two_sided(paired_difference(self.values(metric), baseline.values(metric)).mean, error, df)


def group_cells(jobs: list[Job]) -> list[Cell]:
    """Jobs that differ only in their seed, together, in the order of each cell's first job.

    Raises: UserError when two finished jobs have the same choices and the same seed.
    """
    by_choice: dict[tuple[tuple[str, str], ...], Cell] = {}
    by_data: dict[tuple[tuple[str, str], ...], Beside] = {}
    for job in jobs:
        key = tuple(sorted(job.choices.items()))
        if key not in by_choice:
            data = tuple(pair for pair in key if pair[0].startswith(DATA))
            beside = by_data.setdefault(data, Beside())
            beside.cells.append(by_choice.setdefault(key, Cell(job.choices, [], beside)))
        cell = by_choice[key]
        for twin in cell.jobs:
            if twin.seed == job.seed and twin.state == job.state == "ok":
                raise UserError(
                    f"Jobs {twin.folder.name} and {job.folder.name} have the same choices and the same "
                    f"seed={job.seed}; legal is one folder for each."
                )
        cell.jobs.append(job)
    return list(by_choice.values())


def false_discovery(cells: list[Cell], baseline: Cell, metric: str) -> tuple[list[float], list[float]]:
    """p-values of each cell's difference to the baseline, and what they are among all (Benjamini and Hochberg 1995)."""
    from peftlab.statistics.comparisons import benjamini_hochberg

    p = [cell.p_value(baseline, metric) for cell in cells]
    return p, benjamini_hochberg(p)


def counterpart(baseline: Cell, cell: Cell) -> Cell | None:
    """What a cell is compared with: the baseline, and on other data the cell there with its other choices; None where none has them."""
    if cell.beside is baseline.beside:
        return baseline
    own = _but_data(baseline)
    return next((one for one in cell.beside.cells if _but_data(one) == own), None)


def _but_data(cell: Cell) -> dict[str, str]:
    return {key: value for key, value in cell.choices.items() if not key.startswith(DATA)}


def metrics_of(cells: list[Cell]) -> list[Metric]:
    """The headline metrics of the cells' task."""
    return headline(job.result for cell in cells for job in cell.jobs)


def apart_text(cells: list[Cell], metrics: list[Metric], name: Callable[[Cell], str]) -> str:
    """Which cells have an error of their own, by metric and as `name` calls them; nothing if none has."""
    by_label: dict[str, list[str]] = {}
    for metric in metrics:
        for cell in cells:
            if cell.beside.is_apart(metric.name, cell):
                by_label.setdefault(metric.label, []).append(name(cell))
    told = "; ".join(f"{label} {', '.join(names)}" for label, names in by_label.items())
    return f"not pooled, as they vary more than the others: {told}" if told else ""


def num_seeds(cells: list[Cell]) -> str:
    """Finished runs of a cell, as `n = 2-3`, over cells that have any."""
    num = {cell.count["ok"] for cell in cells if cell.count["ok"]} or {0}
    return f"n = {min(num)}" + (f"-{max(num)}" if len(num) > 1 else "")


def varying(cells: list[Cell]) -> list[str]:
    """The choices that tell cells apart: not `dataset=cifar100_lt` where every job has it."""
    keys = columns_of([dict(cell.choices) for cell in cells])
    known = [cell.choices for cell in cells if cell.choices]
    return [key for key in keys if len({choices.get(key) for choices in known}) > 1]


def columns_of(rows: list[dict[str, Any]]) -> list[str]:
    """Keys of all rows in the order of the fullest: a failed job does not know where the metrics stand."""
    return list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))


def has_seeds(jobs: list[Job]) -> bool:
    """Whether a cell has several runs to average."""
    return len({job.seed for job in jobs} - {None}) > 1
