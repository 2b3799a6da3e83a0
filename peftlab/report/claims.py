"""Claims that were named before anybody looked: this cell is better than that one. Holm's correction knows how many there are."""

import re
from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import Any, NamedTuple

from peftlab.errors import UserError
from peftlab.report.cell import LEVEL, Cell, metrics_of, varying
from peftlab.report.evidence import p_text
from peftlab.report.metric import Metric
from peftlab.report.report import find_cell

METRIC = re.compile(r"\s*@\s*(\w+)\s*$")


class Claim(NamedTuple):
    """`better` is above `worse` in a metric."""

    better: Cell
    worse: Cell
    metric: Metric


class Verdict(NamedTuple):
    """Of one claim: the difference with its own 95 % interval, in the unit that is shown; p of no difference, two-sided; p by Holm."""

    claim: Claim
    difference: float
    low: float
    high: float
    num: int  # common seeds
    p: float
    holm: float

    @property
    def word(self) -> str:
        """`holds`, `the other way round`, `not decided` or `not known`."""
        if not isfinite(self.holm):
            return "not known"
        if self.holm >= LEVEL:
            return "not decided"
        return "holds" if self.difference > 0 else "the other way round"


def read_claims(cells: list[Cell], texts: Sequence[str]) -> list[Claim]:
    """`CELL > CELL` or `CELL > CELL @tail`; each side as a baseline is named.

    Raises: UserError for a text that is no such claim, a metric that is none, and a side that is not one cell.
    """
    metrics = metrics_of(cells)
    return [_claim(cells, metrics, text) for text in texts]


def _claim(cells: list[Cell], metrics: list[Metric], text: str) -> Claim:
    found = METRIC.search(text)
    sides = (text[: found.start()] if found else text).split(">")
    if len(sides) != 2 or not all(side.strip() for side in sides):
        raise UserError(
            f"claim={text} is no claim; legal: CELL > CELL, or CELL > CELL @tail, as in 'peft=lora > peft=ssf'"
        )
    wanted = found.group(1) if found else metrics[0].name
    metric = next((one for one in metrics if wanted in (one.name, one.label)), None)
    if metric is None:
        legal = ", ".join(f"@{one.label}" for one in metrics)
        raise UserError(f"claim={text}: @{wanted} is no metric of this sweep; legal: {legal}")
    better, worse = (find_cell(cells, side.strip(), f"claim={text}: {side.strip()}") for side in sides)
    if better is worse:
        raise UserError(f"claim={text} names one cell twice; legal: two cells")
    return Claim(better, worse, metric)


def verdicts(claims: Sequence[Claim]) -> list[Verdict]:
    """Each claim tested with the error that all cells of its data set have together, and Holm over the claims that are known."""
    from peftlab.statistics.comparisons import holm

    tested = [_tested(claim) for claim in claims]
    adjusted = holm([one.p for one in tested])
    return [one._replace(holm=value) for one, value in zip(tested, adjusted, strict=True)]


def _tested(claim: Claim) -> Verdict:
    from peftlab.statistics.blocks import quantile

    better, worse, (name,) = claim
    own, other = better.values(name), worse.values(name)
    common = own.keys() & other.keys()
    if not common:
        return Verdict(claim, nan, nan, nan, 0, nan, nan)
    factor = claim.metric.factor
    value = factor * sum(own[seed] - other[seed] for seed in common) / len(common)
    p = better.p_value(worse, name)
    if not isfinite(p):
        return Verdict(claim, value, nan, nan, len(common), nan, nan)
    error, df = better.error(worse, name)
    half = factor * quantile(df, 0.95) * error
    return Verdict(claim, value, value - half, value + half, len(common), p, nan)


def claim_lines(cells: list[Cell], texts: Iterable[str]) -> list[str]:
    """A line for each claim, in the order in which they were named."""
    keys = varying(cells)
    return [
        f"claim: {one.claim.better.label(keys)} > {one.claim.worse.label(keys)} in {one.claim.metric.label}: {one.word};"
        f" {difference_text(one)}, n = {one.num}, p {p_text(one.p)}, Holm {p_text(one.holm)}"
        for one in verdicts(read_claims(cells, list(texts)))
    ]


def plain_claims(cells: list[Cell], texts: Iterable[str]) -> list[dict[str, Any]]:
    """The claims for JSON, in the unit of the records; None for what is not known."""
    found = []
    for one in verdicts(read_claims(cells, list(texts))):
        factor = one.claim.metric.factor
        numbers = {"value": one.difference / factor, "low": one.low / factor, "high": one.high / factor}
        numbers |= {"p": one.p, "holm": one.holm}
        found.append(
            {
                "better": one.claim.better.choices,
                "worse": one.claim.worse.choices,
                "metric": one.claim.metric.name,
                "verdict": one.word,
                "seeds": one.num,
                **{key: value if isfinite(value) else None for key, value in numbers.items()},
            }
        )
    return found


def difference_text(one: Verdict) -> str:
    """`+1.2 (-0.3, +2.7)`."""
    if not isfinite(one.difference):
        return "no common seed"
    form = f"+{one.claim.metric.form}"
    ends = f" ({one.low:{form}}, {one.high:{form}})" if isfinite(one.low) else ""
    return f"{one.difference:{form}}{ends}"
