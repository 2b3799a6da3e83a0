"""gamma.csv: the learned gammas of a run, one row per site."""

from collections.abc import Iterable, Mapping
from typing import Any

from peftlab.record.table import table_text

COLUMNS = ("site", "block", "position", "gamma", "multiplier", "effective", "ratio")


def gamma_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table of `peftlab.run.sites.gamma_rows`."""
    return table_text([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])
