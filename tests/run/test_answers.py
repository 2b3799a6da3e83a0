"""What several runs say of the same items in one pass is what each says alone, bit for bit."""

from typing import Any

import pytest
import torch

from peftlab.build.experiment import build
from peftlab.build.together import shared_network
from peftlab.config.resolve import resolve
from peftlab.run import answers
from peftlab.run.answers import joint_outputs

SMALL = ("backbone=tiny", "dataset=digits_lt", "device=cpu", "fit.epochs=1", "fit.eval_batch_size=100")


@pytest.fixture
def experiments(composed: Any) -> list[Any]:
    resolved = [
        resolve(composed(*SMALL, *words))
        for words in (
            ("placement.depth=1",),
            ("peft=adaptformer", "peft.dropout=0.5"),
            ("dataset.val_fraction=0.5",),
        )
    ]
    network = shared_network(resolved[0], num_together=1)
    found = [build(one, network=network) for one in resolved]
    with torch.no_grad():
        for one in found:
            for value in one.cell.theta().values():
                value.add_(0.05)
    return found


def test_they_are_each_one_s_own(experiments: list[Any]) -> None:
    splits = [one.trunk.dataset.open_test() for one in experiments]
    found = joint_outputs(experiments, splits, is_test=True)
    assert all(one.cell.training for one in experiments)
    for experiment, split, outputs in zip(experiments, splits, found, strict=True):
        assert outputs is not None
        experiment.cell.eval()
        for batch in experiment.trunk.batches(split):
            with torch.no_grad():
                (expected,) = experiment.network.outputs([experiment.cell], batch.inputs)
            assert torch.equal(outputs(batch.inputs), expected)
        with pytest.raises(StopIteration):
            outputs({})


def test_other_items_and_too_many_are_left_to_each(
    experiments: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, half = experiments
    splits = [one.trunk.dataset.open_test(), other.trunk.dataset.open_test(), half.trunk.dataset.train]
    assert [found is None for found in joint_outputs(experiments, splits, is_test=True)] == [
        False,
        False,
        True,
    ]
    monkeypatch.setattr(answers, "MAX_BYTES", 1000)
    assert joint_outputs(experiments, splits, is_test=True) == [None] * 3
    assert joint_outputs([], [], is_test=True) == []


def test_each_view_goes_through_the_shared_blocks_once(
    composed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*SMALL, "placement.depth=1", "dataset.views=five_crop")
    resolved = [resolve(composed(*words, f"seed={seed}")) for seed in (0, 1)]
    network = shared_network(resolved[0], num_together=1)
    found = [build(one, network=network) for one in resolved]
    calls: list[int] = []
    hook = found[0].trunk.backbone.model.blocks[0].mlp.register_forward_hook(lambda *given: calls.append(1))
    splits = [one.trunk.dataset.open_test() for one in found]
    try:
        joint = joint_outputs(found, splits, is_test=True)
        batches = found[0].trunk.batches(splits[0])
        assert len(calls) == 5 * len(batches)
    finally:
        hook.remove()
    for experiment, outputs in zip(found, joint, strict=True):
        assert outputs is not None
        experiment.cell.eval()
        own = experiment.outputs(is_test=True)
        for batch in batches:
            with torch.no_grad():
                assert torch.equal(outputs(batch.inputs), own(batch.inputs))
