"""Which cells of a race go on at a rung, by what they reach on validation. Pure: values in, verdicts out."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isfinite, nan
from statistics import fmean

from peftlab.errors import UserError
from peftlab.report.cell import Bounds
from peftlab.statistics.interval import paired_difference, score_difference

Values = Mapping[int, Bounds]  # of one cell: seed -> the metric with its interval over the items


@dataclass(frozen=True)
class Policy:
    """When and how a race stops cells.

    rungs: shares of a run's epochs, in order. keep: the share of the cells that goes on at each rung; None: all of them.
    clear: whether those stop that are clearly worse than the best. metric: of validation, the higher the better.
    """

    rungs: tuple[float, ...]
    keep: float | None
    clear: bool
    metric: str

    def epochs(self, rung: int, of: int, every: int) -> int | None:
        """The epoch of a run of `of` epochs, validated after each `every`, at which rung `rung` is; None at its end."""
        if rung >= len(self.rungs):
            return None
        epoch = max(1, ceil(self.rungs[rung] * of / every - 1e-9)) * every
        return epoch if epoch < of else None


def policy_of(rungs: object, keep: object, clear: bool, metric: str) -> Policy:
    """The policy of these options.

    Raises:
        UserError: for rungs that are no shares in order, a share to keep that is none, and a policy that stops nobody.
    """
    shares = [rung for rung in rungs if _is_share(rung)] if isinstance(rungs, list) else []
    if not shares or shares != rungs or shares != sorted(set(shares)):
        raise UserError(
            f"hydra.sweeper.rungs={rungs} are no shares of fit.epochs in order; legal: as [0.125,0.25,0.5]"
        )
    if keep is not None and not _is_share(keep):
        raise UserError(
            f"hydra.sweeper.keep={keep} is no share of the cells; legal: between 0 and 1, or null"
        )
    if keep is None and not clear:
        raise UserError(
            "hydra.sweeper.keep=null and hydra.sweeper.clear=false stop no cell; legal: one of the two"
        )
    share = keep if isinstance(keep, float) else None
    return Policy(tuple(shares), share, clear, metric)


def _is_share(value: object) -> bool:
    return isinstance(value, float) and 0 < value < 1


@dataclass(frozen=True)
class Verdict:
    """Of one cell at one rung: its mean over the seeds, its difference to the best with its interval, why it stops."""

    mean: float
    difference: Bounds
    stops: str | None  # None: it goes on


def judge(policy: Policy, cells: Mapping[str, Values]) -> dict[str, Verdict]:
    """A verdict for each cell that has a value; the others are not judged and go on.

    Means are over the seeds that all of these have, if there are such. A difference to the best cell is paired by seed,
    with Student's t interval; of one seed it has Newcombe's, as if the items were not the same, which is too wide and
    stops fewer. Equal cells stand in the order of the sweep, and the best never stops.
    """
    known = {name: values for name, values in cells.items() if values}
    seeds = set.intersection(*(set(values) for values in known.values())) if known else set()
    mean = {
        name: fmean(value[0] for seed, value in values.items() if seed in seeds or not seeds)
        for name, values in known.items()
    }
    order = sorted(known, key=lambda name: -mean[name])
    number = len(order) if policy.keep is None else ceil(policy.keep * len(order) - 1e-9)
    found = {}
    for place, name in enumerate(order):
        difference = _difference(known[name], known[order[0]])
        stops = None
        if place and policy.clear and difference[2] < 0:
            stops = "clearly worse than the best"
        elif place >= max(1, number):
            stops = f"not among the first {max(1, number)}"
        found[name] = Verdict(mean[name], difference, stops)
    return {name: found[name] for name in known}


def _difference(own: Values, best: Values) -> Bounds:
    common = sorted(own.keys() & best.keys())
    if not common:
        return nan, nan, nan
    if len(common) == 1:
        ends = own[common[0]], best[common[0]]
        return score_difference(*ends) if all(map(isfinite, (*ends[0], *ends[1]))) else (nan, nan, nan)
    mean, half, _ = paired_difference(
        {seed: own[seed][0] for seed in common}, {seed: best[seed][0] for seed in common}
    )
    return mean, mean - half, mean + half
