"""placement=from_gamma: the sites that a finished run gave a large gamma, for a run with a fixed scale."""

import csv
import math
from typing import Literal

from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.option import Finite, PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.site import Site, parse_site, site_order

MAX_BYTES = 2**20  # a hundred times what all sites of a large backbone need


def from_gamma(
    ground: Ground,
    *,
    run: str,
    by: Literal["gamma", "ratio"],
    threshold: Finite | None,
    keep: PositiveInt | None,
) -> Placement:
    """The sites of `run`'s gamma.csv whose column `by` is at least `threshold`, or the `keep` largest.

    `by` is `gamma`, or `ratio` for ||gamma delta|| / ||f||, which, unlike gamma alone, does not change when the
    delta is rescaled.

    Raises:
        UserError: if the file is missing, both or neither of threshold and keep are given, or no site remains.
    """
    if (threshold is None) == (keep is None):
        given = " and ".join(
            f"placement.{key}={'null' if value is None else value}"
            for key, value in (("threshold", threshold), ("keep", keep))
        )
        raise UserError(
            f"{given}: placement=from_gamma has both or none of them; legal: a value for one, null for the other"
        )
    values = _read(run, by)
    wrong = [
        site
        for site in values
        if not 0 <= site.block < len(ground.labels) or site.position not in ground.positions
    ]
    if wrong:
        raise UserError(
            f"placement.run={run} has a gamma at {wrong[0]}, a site that this backbone or method lacks"
        )
    ranked = list(values)
    kept = (
        _largest(ranked, keep, run) if keep is not None else _above(ranked, values, threshold or 0, run, by)
    )
    return Placement({site: {} for site in sorted(kept, key=site_order)}, values)


def _largest(ranked: list[Site], keep: int, run: str) -> list[Site]:
    if keep > len(ranked):
        raise UserError(
            f"placement.keep={keep} is more than the {len(ranked)} sites of {run}; legal: 1 to {len(ranked)}"
        )
    return ranked[:keep]


def _above(
    ranked: list[Site], values: dict[Site, float], threshold: float | int, run: str, by: str
) -> list[Site]:
    kept = [site for site in ranked if values[site] >= threshold]
    if not kept:
        raise UserError(
            f"placement.threshold={threshold} keeps no site: the largest {by} in {run} is {max(values.values()):.4g}"
        )
    return kept


def _read(run: str, by: str) -> dict[Site, float]:
    path = expanded(run) / "gamma.csv"
    if not path.is_file():
        raise UserError(
            f"placement.run={run} has no gamma.csv; legal: the folder of a finished scaling=meta or learned run"
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return _values(rows, by)
    except (OSError, ValueError, csv.Error) as error:  # ValueError: no text, or no table of sites
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"placement.run={run}: {path} is not a gamma.csv ({reason}); legal: one that a run wrote which did not diverge"
        ) from error


def _values(rows: list[dict[str, str]], by: str) -> dict[Site, float]:
    """The largest first. Raises ValueError for what is no table of sites with a finite number each."""
    lacking = [key for key in ("site", by) if not rows or key not in rows[0]]
    if lacking:
        raise ValueError(f"it has no {'row' if not rows else f'column {lacking[0]}'}")
    found: dict[Site, float] = {}
    for number, row in enumerate(rows, start=1):
        try:
            site, value = parse_site(row["site"]), float(row[by])
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"row {number} has no site and {by}") from error
        if site in found:
            raise ValueError(f"the site {site} is there twice")
        if not math.isfinite(value):
            raise ValueError(f"the {by} of {site} is not a finite number")
        found[site] = value
    return dict(sorted(found.items(), key=lambda item: -item[1]))
