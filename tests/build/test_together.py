"""Several runs on one network: what they share, and that each ends with what it has apart: weights, gammas, metrics."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from peftlab.build.experiment import Experiment, build
from peftlab.build.together import share_batches, shared_network
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.fit.fit import Diverged, Step, fit
from peftlab.fit.precision import autocast

Composed = Callable[..., dict[str, Any]]
BASE = ("recipe=lift", "dataset=digits_lt", "device=cpu", "fit.batch_size=64", "optim.lr=0.05")
DEEP = ("backbone=tiny", "backbone.depth=4", "backbone.model_args.depth=4")
META = ("scaling=meta", "scaling.outer.warmup=2", "scaling.outer.every=2", "scaling.outer.batch_size=32")
CELLS = {
    "low q": ("placement.depth=0", "placement.position=q", "peft.rank=2"),
    "high mlp": ("placement.depth=2-3", "placement.position=mlp", "peft.rank=4", "scaling.value=8"),
    "learned": ("placement.depth=1-2", "placement.position=attn_qv", "scaling=learned", "scaling.lr=0.1"),
    "meta": ("placement.depth=1,3".replace("=1,3", "=[1,3]"), *META),
    "meta unrolled": ("placement.depth=3", "placement.position=out", *META, "scaling/estimator=unrolled"),
    "adapter": ("peft=adapter_houlsby", "placement.depth=1-3", "scaling.value=2"),
    "dropout": ("peft=adaptformer", "placement.depth=2", "peft.dropout=0.5"),
    "parallel": ("peft=adapter_parallel", "placement.depth=0-1"),
    "prefix": ("peft=prefix", "peft.length=3", "placement.depth=2"),
    "gated": ("peft=lora", "placement.depth=3", "scaling=gated"),
    "dylora": ("peft=dylora", "placement.depth=1"),
    "head only": ("peft=linear_probe",),
}
TOGETHER = [
    ("low q", "high mlp"),
    ("learned", "meta"),
    ("high mlp", "learned", "meta"),
    ("dropout", "dropout", "dylora", "meta"),
    ("high mlp", "head only"),
    ("meta unrolled", "adapter", "low q"),
    ("dropout", "prefix", "gated"),
    ("dylora", "parallel", "head only"),
]
FIRST_SLOW = 2


@pytest.fixture
def runs(composed: Composed) -> Callable[..., Any]:
    def make(*names: str, more: tuple[str, ...] = ("fit.epochs=2",)) -> Any:
        return [resolve(composed(*BASE, *DEEP, *more, *CELLS[name])) for name in names]

    return make


def build_together(runs: list[Any], num_together: int | None = None) -> tuple[Any, list[Experiment]]:
    network = shared_network(runs[0], num_together)
    experiments = [build(one, network=network) for one in runs]
    share_batches(experiments)
    return network, experiments


def metrics(experiment: Experiment) -> dict[str, float]:
    data, device = experiment.trunk.dataset, experiment.trunk.device
    from peftlab.dataset.batches import EvalBatches

    batches = EvalBatches(data.open_test(), data.eval_transform, batch_size=250, num_workers=0)

    def outputs(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return experiment.network.outputs([experiment.cell], inputs)[0]

    experiment.cell.eval()
    context = autocast(experiment.resolved.fit, device)
    return experiment.task.metrics(experiment.task.evaluate(outputs, batches, device, context))


def train(network: Any, experiments: list[Experiment]) -> list[dict[int, Step | Diverged]]:
    plan = experiments[0].resolved.fit
    return list(fit(plan, network, [one.learner for one in experiments], start=0))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(names, id=" + ".join(names), marks=[pytest.mark.slow] * (place >= FIRST_SLOW))
        for place, names in enumerate(TOGETHER)
    ],
)
def test_together_is_what_they_are_apart(runs: Callable[..., Any], names: tuple[str, ...]) -> None:
    network, together = build_together(runs(*names))
    assert len({id(one.learner.batches) for one in together}) == 1
    joint = train(network, together)
    for place, (resolved, ours) in enumerate(zip(runs(*names), together, strict=True)):
        alone = build(resolved)
        steps = train(alone.network, [alone])
        assert len(steps) == len(joint) > 5
        for one, several in zip(steps, joint, strict=True):
            assert several[place].loss == pytest.approx(one[0].loss, rel=1e-5)
            assert (several[place].outer is None) == (one[0].outer is None)
        theirs, mine = alone.cell.state(), ours.cell.state()
        assert list(theirs) == list(mine)
        for name, value in theirs.items():
            torch.testing.assert_close(
                mine[name], value, rtol=0, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}"
            )
        expected, found = metrics(alone), metrics(ours)
        assert found == pytest.approx(expected, nan_ok=True)


def test_cells_start_apart_and_move_apart(runs: Callable[..., Any]) -> None:
    """What is compared above is no row of zeros."""
    network, together = build_together(runs("low q", "learned", "meta"))
    before = [{name: value.clone() for name, value in one.cell.state().items()} for one in together]
    train(network, together)
    for old, one in zip(before, together, strict=True):
        moved = {name for name, value in one.cell.state().items() if not torch.equal(value, old[name])}
        assert moved == set(old) if one.cell.gamma.raw is not None else moved


def test_a_cell_that_diverges_leaves_and_the_others_do_not_notice(runs: Callable[..., Any]) -> None:
    network, together = build_together(runs("high mlp", "low q", "adapter"))
    with torch.no_grad():
        next(iter(together[1].cell.deltas["0_q"].parameters())).fill_(float("inf"))
    rounds = train(network, together)
    assert isinstance(rounds[0][1], Diverged)
    assert rounds[0][1].step == 1
    assert all(1 not in happened for happened in rounds[1:])
    for place, name in ((0, "high mlp"), (2, "adapter")):
        (resolved,) = runs(name)
        alone = build(resolved)
        train(alone.network, [alone])
        for key, value in alone.cell.state().items():
            torch.testing.assert_close(together[place].cell.state()[key], value, rtol=0, atol=1e-6)


def test_a_cell_that_is_dropped_leaves_and_the_others_do_not_notice(runs: Callable[..., Any]) -> None:
    network, together = build_together(runs("high mlp", "low q"))
    active = {0, 1}
    plan, learners = together[0].resolved.fit, [one.learner for one in together]
    rounds = []
    for happened in fit(plan, network, learners, start=0, active=active):
        rounds.append(happened)
        if len(rounds) == 3:
            active.discard(0)
            kept = {name: value.clone() for name, value in together[0].cell.state().items()}
    assert [sorted(happened) for happened in rounds] == [[0, 1]] * 3 + [[1]] * (len(rounds) - 3)
    assert all(torch.equal(value, kept[name]) for name, value in together[0].cell.state().items())
    alone = build(runs("low q")[0])
    train(alone.network, [alone])
    for key, value in alone.cell.state().items():
        torch.testing.assert_close(together[1].cell.state()[key], value, rtol=0, atol=1e-6)


def test_seeds_are_streams_side_by_side(runs: Callable[..., Any]) -> None:
    pair = [
        *runs("learned", more=("fit.epochs=2", "seed=0")),
        *runs("learned", more=("fit.epochs=2", "seed=1")),
    ]
    network, together = build_together(pair)
    assert len({id(one.learner.batches) for one in together}) == 2
    train(network, together)
    for resolved, ours in zip(pair, together, strict=True):
        alone = build(resolved)
        train(alone.network, [alone])
        for key, value in alone.cell.state().items():
            assert torch.equal(ours.cell.state()[key], value)


def test_accumulation_and_clipping_are_each_cell_s_own(runs: Callable[..., Any]) -> None:
    more = ("fit.epochs=2", "fit.accumulate=2", "fit.clip_norm=0.1")
    names = ("high mlp", "learned")
    network, together = build_together(runs(*names, more=more))
    train(network, together)
    for resolved, ours in zip(runs(*names, more=more), together, strict=True):
        alone = build(resolved)
        train(alone.network, [alone])
        for key, value in alone.cell.state().items():
            torch.testing.assert_close(ours.cell.state()[key], value, rtol=0, atol=1e-6)


def test_the_frozen_blocks_below_run_once(runs: Callable[..., Any]) -> None:
    """Three cells of which the first joins at block 1: block 0 sees one copy of the batch, without a graph."""
    network, together = build_together(runs("learned", "meta", "high mlp"))
    seen: list[list[tuple[int, bool]]] = [[] for _ in range(4)]
    for index in range(4):
        network.backbone.model.blocks[index].attn.register_forward_hook(
            lambda module, args, output, index=index: seen[index].append(
                (output.shape[0], output.requires_grad)
            )
        )
    batch = next(together[0].learner.batches.iterate(0))
    network.outputs([one.cell for one in together], batch.inputs)
    for block in network.backbone.model.blocks:
        block.attn._forward_hooks.clear()
    b = len(batch.targets)
    assert seen[0] == [(b, False)]
    assert sum(rows for rows, _ in seen[1]) == 3 * b  # two joined, and one copy for the third
    assert sorted(rows for rows, graph in seen[1] if not graph) == [b]
    assert sum(rows for rows, _ in seen[2]) == sum(rows for rows, _ in seen[3]) == 3 * b


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("peft=vpt_deep",), "prompts"),
        (("peft=bitfit",), "selected weights"),
    ],
)
def test_what_cannot_share_a_forward_is_told(composed: Composed, words: tuple[str, ...], why: str) -> None:
    own = resolve(composed(*BASE, *DEEP, "fit.epochs=1", *words))
    other = resolve(composed(*BASE, *DEEP, "fit.epochs=1"))
    network, (one, two) = build_together([own, other])
    batch = next(one.learner.batches.iterate(0))
    with pytest.raises(UserError, match=f"a cell with {why} cannot share a forward"):
        network.outputs([one.cell, two.cell], batch.inputs)
    assert network.groups([one.cell, two.cell, two.cell]) == [[1, 2], [0]]


@pytest.mark.parametrize("num_together", [1, 2])
def test_some_share_a_forward(runs: Callable[..., Any], num_together: int) -> None:
    names = ("high mlp", "low q", "learned")
    network, together = build_together(runs(*names), num_together)
    cells = [one.cell for one in together]
    assert network.groups(cells) == ([[1], [2], [0]] if num_together == 1 else [[1, 2], [0]])
    train(network, together)
    for resolved, ours in zip(runs(*names), together, strict=True):
        alone = build(resolved)
        train(alone.network, [alone])
        for key, value in alone.cell.state().items():
            atol = 0 if num_together == 1 else 1e-6
            torch.testing.assert_close(ours.cell.state()[key], value, rtol=0, atol=atol)


def test_other_items_are_another_stream(runs: Callable[..., Any]) -> None:
    few = ("fit.epochs=2", "dataset.imbalance=5")
    together = [*runs("low q", "learned"), *runs("low q", more=few)]
    network, experiments = build_together(together)
    assert all(one.network is network for one in experiments)
    same, also, other = (one.learner.batches for one in experiments)
    assert same is also
    assert other is not same
    assert len(experiments[0].train) != len(experiments[2].train)
