"""placement.csv: what a rule thought of every site that it could have chosen."""

from collections.abc import Collection, Mapping

from peftlab.record.table import table_text
from peftlab.site import Site

COLUMNS = ("site", "block", "position", "score", "kept")


def placement_text(scores: Mapping[Site, float], kept: Collection[Site]) -> str:
    """One row per candidate, the best first; `kept` is 1 where the site was chosen."""
    best_first = sorted(scores, key=lambda site: -scores[site])
    rows = [(site, site.block, site.position, scores[site], int(site in kept)) for site in best_first]
    return table_text([COLUMNS, *rows])
