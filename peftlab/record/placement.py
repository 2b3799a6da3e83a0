"""placement.csv: what a rule thought of every site that it could have chosen."""

import csv
import io
from collections.abc import Mapping

from peftlab.config.place import Placed
from peftlab.site import Site

COLUMNS = ("site", "block", "position", "score", "kept")


def placement_text(scores: Mapping[Site, float], placed: Placed) -> str:
    """One row per candidate, the best first; `kept` is 1 where the site was chosen."""
    kept = {site for cells in placed.values() for site in cells}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for site in sorted(scores, key=lambda site: -scores[site]):
        writer.writerow([str(site), site.block, site.position, repr(scores[site]), int(site in kept)])
    return text.getvalue()
