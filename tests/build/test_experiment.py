"""All objects of a run, and which of them are its own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolve import resolve

SMALL = ("backbone=tiny", "dataset=digits_lt", "device=cpu", "fit.batch_size=64")
Made = Callable[..., Any]


def built(composed: Made, *words: str, **more: Any) -> Experiment:
    return build(resolve(composed(*SMALL, *words)), **more)


def owned(optimizer: torch.optim.Optimizer) -> set[int]:
    return {id(value) for group in optimizer.param_groups for value in group["params"]}


@pytest.mark.parametrize(("scaling", "num"), [("fixed", 1), ("gated", 1), ("learned", 2), ("meta", 1)])
def test_theta_has_one_optimizer_and_a_gamma_that_is_learned_jointly_its_own(
    composed: Made, scaling: str, num: int
) -> None:
    experiment = built(composed, f"scaling={scaling}")
    learner, cell = experiment.learner, experiment.cell
    assert len(learner.optimizers) == num
    assert owned(learner.optimizers[0]) == {id(value) for value in cell.theta().values()}
    if scaling == "learned":
        assert owned(learner.optimizers[1]) == {id(cell.gamma.raw)}
    assert (learner.outer is not None) == (scaling == "meta")
    assert learner.cell is cell
    assert learner.seed == experiment.resolved.seed
    assert experiment.schedule.num_batches == learner.batches.num_batches
    assert len(experiment.train) == len(experiment.trunk.dataset.train)


def test_the_loss_has_the_prior_of_what_is_trained_on(composed: Made) -> None:
    experiment = built(composed, "loss.tau=1.0", "head.init=random")
    counts = torch.from_numpy(experiment.trunk.dataset.counts).float()
    logits, labels = torch.randn(4, 10), torch.arange(4)
    expected = torch.nn.functional.cross_entropy(logits + (counts / counts.sum()).log(), labels)
    torch.testing.assert_close(experiment.learner.loss(logits, labels), expected)


def test_two_runs_in_one_network_do_not_know_of_each_other(composed: Made) -> None:
    one = built(composed, "placement.position=q", "head.init=random")
    two = built(composed, "placement.position=v", "head.init=random", network=one.network)
    assert two.network is one.network
    assert one.trunk.backbone is two.trunk.backbone
    assert not {id(value) for value in one.cell.parameters()} & {id(value) for value in two.cell.parameters()}
    batch = next(one.learner.batches.iterate(0))
    assert torch.equal(batch.inputs["images"], next(two.learner.batches.iterate(0)).inputs["images"]), (
        "paired"
    )
    together = one.network.outputs([one.cell, two.cell], batch.inputs)
    for experiment, output in zip((one, two), together, strict=True):
        alone = experiment.network.outputs([experiment.cell], batch.inputs)[0]
        torch.testing.assert_close(output, alone, rtol=1e-5, atol=1e-5)


def test_paired_runs_start_with_the_same_head(composed: Made) -> None:
    one, two = (
        built(composed, f"placement.position={name}", "head=linear", "head.init=random") for name in "qv"
    )
    for name, value in one.cell.head.state_dict().items():
        assert torch.equal(value, two.cell.head.state_dict()[name])
    other = built(composed, "placement.position=q", "head=linear", "head.init=random", "seed=1")
    assert any(
        not torch.equal(value, other.cell.head.state_dict()[name])
        for name, value in one.cell.head.state_dict().items()
    )


def test_no_global_random_number_is_drawn(composed: Made) -> None:
    before = torch.random.get_rng_state()
    built(composed, "head.init=random", "scaling=meta", "scaling.outer.warmup=0", "scaling.outer.every=1")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_rule_scores_on_training_items_and_its_scores_are_kept(composed: Made) -> None:
    experiment = built(composed, "placement=gradient_norm", "placement.keep=3", "placement.num_samples=8")
    assert len(experiment.cell.sites) == 3
    assert len(experiment.placed.scores) == 12
    assert set(experiment.cell.sites) == experiment.placed.sites
    again = built(composed, "placement=gradient_norm", "placement.keep=3", "placement.num_samples=8")
    assert again.placed == experiment.placed


def test_masks_that_were_chosen_before_are_not_chosen_again(
    composed: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("peft=mask_fisher", "peft.num_samples=4", "peft.keep_ratio=0.2", "head.init=random")
    first = built(composed, *words)
    masks = first.cell.selected.indices()
    assert masks
    from peftlab.build.scorer import Scorer

    def refuse(*args: Any, **more: Any) -> Any:
        raise AssertionError("it was measured again")

    monkeypatch.setattr(Scorer, "gradients", refuse)
    monkeypatch.setattr(Scorer, "class_gradients", refuse)
    again = built(composed, *words, masks=masks).cell.selected.indices()
    assert masks.keys() == again.keys()
    assert all(torch.equal(again[key], index) for key, index in masks.items())
