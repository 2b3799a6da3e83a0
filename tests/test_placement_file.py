"""placement.csv."""

import csv
import io

from peftlab.placement_file import placement_text
from peftlab.site import Site


def test_every_candidate_the_best_first_with_its_exact_score():
    scores = {Site(0, "q"): 0.1, Site(3, "mlp1"): 1 / 3, Site(3, "kv"): 1e-12}
    placed = {"lora": {Site(3, "mlp1"): {}}, "prefix": {Site(3, "kv"): {"length": 2}}}
    rows = list(csv.DictReader(io.StringIO(placement_text(scores, placed))))
    assert [row["site"] for row in rows] == ["3.mlp1", "0.q", "3.kv"]
    assert [(row["block"], row["position"]) for row in rows] == [("3", "mlp1"), ("0", "q"), ("3", "kv")]
    assert [float(row["score"]) for row in rows] == [1 / 3, 0.1, 1e-12]
    assert [row["kept"] for row in rows] == ["1", "0", "1"]
