"""placement.csv."""

import csv
import io

import pytest

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.record.record import Record
from peftlab.run.placement import placement_text
from peftlab.run.state import Run
from peftlab.site import Site

TINY = ["backbone=tiny", "head.init=random", "dataset=digits_lt", "device=cpu", "placement.keep=2"]


def test_every_candidate_in_the_order_of_the_rule_with_its_exact_score():
    scores = {Site(3, "mlp1"): 1 / 3, Site(0, "q"): 0.1, Site(3, "kv"): 1e-12}
    placed = {Site(3, "mlp1"), Site(3, "kv")}
    rows = list(csv.DictReader(io.StringIO(placement_text(scores, placed))))
    assert [row["site"] for row in rows] == ["3.mlp1", "0.q", "3.kv"]
    assert [(row["block"], row["position"]) for row in rows] == [("3", "mlp1"), ("0", "q"), ("3", "kv")]
    assert [float(row["score"]) for row in rows] == [1 / 3, 0.1, 1e-12]
    assert [row["kept"] for row in rows] == ["1", "0", "1"]


ON_ITEMS = ["placement.num_samples=8", "placement.batch_size=4"]
RULES = {
    **dict.fromkeys(
        ["sensitivity", "gradient_norm", "activation_energy", "plop", "residual_norm", "layer_coupling"],
        ON_ITEMS,
    ),
    "kappa": [],
}


@pytest.mark.parametrize("rule", RULES)
def test_a_run_scores_every_candidate_and_trains_the_best(composed, tmp_path, rule):
    config = composed(*TINY, f"placement={rule}", *RULES[rule])
    state = Run(build(resolve(config)), Record(tmp_path / "run", {}, config), None)
    state.open()
    rows = list(csv.DictReader((tmp_path / "run" / "placement.csv").read_text().splitlines()))
    assert len(rows) == 12
    assert [row["kept"] for row in rows] == ["1", "1"] + 10 * ["0"]
    assert {str(site) for site in state.experiment.cell.sites} == {row["site"] for row in rows[:2]}
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=rule not in ("plop", "kappa"))
    again = build(resolve(config))  # a resumed run chooses again, and the same
    assert again.placed.scores == state.experiment.placed.scores
    assert again.placed == state.experiment.placed


def test_a_placement_without_scores_leaves_no_table(composed, tmp_path):
    config = composed(*TINY, "placement=random_k")
    state = Run(build(resolve(config)), Record(tmp_path / "run", {}, config), None)
    state.open()
    assert state.experiment.placed.scores == {}
    assert not (tmp_path / "run" / "placement.csv").exists()
