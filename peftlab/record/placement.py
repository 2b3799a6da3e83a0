"""placement.csv: what a rule thought of every site that it could have chosen."""

import csv
import io
from collections.abc import Collection, Mapping

from peftlab.site import Site

COLUMNS = ("site", "block", "position", "score", "kept")


def placement_text(scores: Mapping[Site, float], kept: Collection[Site]) -> str:
    """One row per candidate, the best first; `kept` is 1 where the site was chosen."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for site in sorted(scores, key=lambda site: -scores[site]):
        writer.writerow([str(site), site.block, site.position, repr(scores[site]), int(site in kept)])
    return text.getvalue()
