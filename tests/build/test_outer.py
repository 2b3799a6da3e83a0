"""What gamma is learned on: which items, which are then not trained on, and whether it is ever learned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from peftlab.build.experiment import Experiment, build
from peftlab.build.outer import OuterSplit
from peftlab.config.resolve import resolve
from peftlab.errors import UserError

SMALL = ("backbone=tiny", "dataset=digits_lt", "fit.batch_size=64", "head.init=random", "scaling=meta")
Config = Callable[..., dict[str, Any]]


def built(composed: Config, *words: str) -> tuple[Experiment, OuterSplit]:
    experiment = build(resolve(composed(*SMALL, "scaling.outer.warmup=2", "scaling.outer.every=3", *words)))
    assert experiment.outer_split is not None
    return experiment, experiment.outer_split


def test_a_fixed_gamma_has_no_outer_loop(composed: Config) -> None:
    experiment = build(resolve(composed(*SMALL[:-1])))
    assert experiment.outer_split is experiment.learner.outer is None


def test_a_split_is_a_function_of_seed_and_draw(composed: Config) -> None:
    experiment, split = built(composed)
    again = OuterSplit(experiment.trunk.dataset, split.plan, split.seed)
    assert np.array_equal(split.positions(3), again.positions(3))
    assert not np.array_equal(split.positions(3), split.positions(4))
    assert not np.array_equal(split.positions(3), OuterSplit(split.dataset, split.plan, 1).positions(3))
    assert len(set(split.positions(0).tolist())) == len(split.positions(0))


def test_without_holding_out_everything_is_trained_on(composed: Config) -> None:
    experiment, split = built(composed, "scaling.outer.hold_out=false")
    assert split.inner() is experiment.trunk.dataset.train
    assert len(experiment.train) == len(experiment.trunk.dataset.train)


def test_what_is_held_out_is_not_trained_on_and_a_class_keeps_its_only_item(composed: Config) -> None:
    experiment, split = built(composed, "scaling.outer.hold_out=true", "dataset.imbalance=200")
    data = experiment.trunk.dataset
    assert 1 in data.counts
    outer = set(data.train.rows[split.positions(0)].tolist())
    inner = set(split.inner().rows.tolist())
    assert outer
    assert not outer & inner
    assert outer | inner == set(data.train.rows.tolist())
    assert (split.inner().counts(10) >= 1).all()
    assert len(experiment.train) == len(inner)


@pytest.mark.parametrize("stratified", ["true", "false"])
@pytest.mark.parametrize("fraction", [0.2, 0.9])
def test_no_class_is_held_out_whole(composed: Config, stratified: str, fraction: float) -> None:
    words = (f"scaling.outer.stratified={stratified}", f"scaling.outer.fraction={fraction}")
    _, split = built(composed, "scaling.outer.hold_out=true", "dataset.imbalance=200", *words)
    assert (split.inner().counts(10) >= 1).all()
    assert len(split.positions(0))


def test_one_image_of_each_class_cannot_be_held_out(composed: Config) -> None:
    with pytest.raises(UserError, match=r"hold_out=true .* holds nothing out, .* legal: false, or"):
        built(
            composed,
            "scaling.outer.hold_out=true",
            "dataset.max_per_class=1",
            "dataset.imbalance=1",
            "fit.epochs=50",
        )


def test_coverage_counts_the_first_split(composed: Config) -> None:
    experiment, split = built(composed)
    labels = experiment.trunk.dataset.train.labels[split.positions(0)]
    counts = np.bincount(labels, minlength=10)
    found = split.coverage()
    assert found["num_classes_covered"] == int((counts > 0).sum()) == 10
    assert found["min_per_class"] == counts.min()
    assert found["median_per_class"] == np.median(counts)


def test_the_outer_loss_has_the_prior_of_its_split(composed: Config) -> None:
    experiment, split = built(composed, "loss.tau=1.0")
    outer = experiment.learner.outer
    assert outer is not None
    counts = np.bincount(experiment.trunk.dataset.train.labels[split.positions(2)], minlength=10)
    drawn = outer.problem.draw(2)
    logits, labels = torch.randn(4, 10), torch.arange(4)
    prior = torch.from_numpy(counts / counts.sum()).float().log()
    expected = torch.nn.functional.cross_entropy(logits + prior, labels)
    torch.testing.assert_close(drawn.loss(logits, labels), expected)
    assert set(drawn.batches(0).rows.tolist()) <= set(
        experiment.trunk.dataset.train.rows[split.positions(2)].tolist()
    )


def test_a_run_too_short_for_an_outer_step_is_refused(composed: Config) -> None:
    with pytest.raises(
        UserError,
        match=r"scaling\.outer\.warmup=2 and scaling\.outer\.every=100 leave no outer step in the 50",
    ):
        built(composed, "head=linear", "scaling.outer.every=100")
