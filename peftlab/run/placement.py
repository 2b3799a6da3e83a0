"""placement.csv: what a rule thought of every site that it could have chosen."""

from collections.abc import Collection, Mapping

from peftlab.record.table import table_text
from peftlab.site import Site

COLUMNS = ("site", "block", "position", "score", "kept")


def placement_text(scores: Mapping[Site, float], kept: Collection[Site]) -> str:
    """One row per candidate, in the order of `scores`; `kept` is 1 where the site was chosen."""
    rows = [(site, site.block, site.position, score, int(site in kept)) for site, score in scores.items()]
    return table_text([COLUMNS, *rows])
