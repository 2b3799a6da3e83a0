"""What runs share is made once per process and key, and equals what each of them would have made."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.tokenizer import text_spec
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import save_file

from peftlab.build.experiment import build
from peftlab.build.trunk import KEPT, Trunk, open_dataset, open_trunk, shared
from peftlab.command.train import main
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.task.classify import Classify

SMALL = ("backbone=tiny", "dataset=digits_lt", "device=cpu")
Made = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("fresh_trunk")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often a backbone, class means and a probe are computed."""
    from peftlab.backbone.timm import model

    count: Counter[str] = Counter()

    def counted(name: str, function: Made) -> Made:
        def call(*args: Any, **more: Any) -> Any:
            count[name] += 1
            return function(*args, **more)

        return call

    monkeypatch.setattr(model, "timm_model", counted("backbone", model.timm_model))
    monkeypatch.setattr(Classify, "start", counted("means", Classify.start))
    monkeypatch.setattr(Trunk, "_probe", counted("probe", Trunk._probe))
    return count


def class_means(trunk: Trunk) -> torch.Tensor:
    """What a head over the classes of the trunk's data starts from."""
    head = Choice("peftlab.head.cosine.Cosine", {"init": "class_mean", "scale": 25.0})
    loss = Choice("peftlab.loss.cross_entropy.cross_entropy", {})
    return trunk.start(Classify(trunk.dataset, head, loss, centres=False))


def resolved(composed: Made, *words: str) -> Resolved:
    return resolve(composed(*SMALL, *words))


def test_jobs_that_differ_in_placement_seed_and_scaling_share_backbone_and_class_means(
    composed: Made, calls: Counter[str]
) -> None:
    jobs = [
        ("placement.position=q",),
        ("placement.position=v", "placement.depth=1"),
        ("seed=1",),
        ("scaling=learned",),
        ("scaling=meta", "scaling.outer.warmup=0", "scaling.outer.every=1"),
        ("peft=bitfit", "optim=adamw", "fit.epochs=3"),
        ("dataset.augment=none", "dataset.num_workers=0"),  # means are of items as evaluation sees them
    ]
    experiments = [build(resolved(composed, *words)) for words in jobs]
    assert calls == {"backbone": 1, "means": 1}
    assert len({id(experiment.trunk.backbone) for experiment in experiments}) == 1
    assert len({id(experiment.cell) for experiment in experiments}) == len(jobs)
    assert len({id(experiment.cell.head) for experiment in experiments}) == len(jobs)
    assert len({value.data_ptr() for e in experiments for value in e.cell.head.parameters()}) == len(jobs), (
        "a run trains a head of its own, though the means that it starts from are shared"
    )


def test_fitted_heads_share_the_frozen_pass_with_class_means_and_read_training_items_alone(
    composed: Made, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    features = Trunk.features

    def watched(self: Trunk, split: Any) -> Any:
        seen.append(split.rows)
        return features(self, split)

    monkeypatch.setattr(Trunk, "features", watched)
    heads = ("head=cosine", "head=linear", "head=cosine head.scale=10", "head=linear head.init=class_mean")
    words = ("head.init=linear_probe", "dataset.val_fraction=0.2")
    made = [build(resolved(composed, *words, *head.split())) for head in (*heads, heads[1])]
    assert calls["means"] == 4
    trunk = made[0].trunk
    assert [rows.tolist() for rows in seen] == [trunk.dataset.train.rows.tolist()]
    alone = trunk.features(trunk.dataset.train)
    start = made[1].task.start(alone)
    assert torch.equal(made[1].cell.head.weight, start[:, :-1])
    assert torch.equal(made[1].cell.head.bias, start[:, -1])
    assert torch.equal(made[4].cell.head.weight, made[1].cell.head.weight)


def test_a_head_that_needs_no_means_computes_none(composed: Made, calls: Counter[str]) -> None:
    build(resolved(composed, "head.init=random"))
    assert calls == {"backbone": 1}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("backbone.model_args.embed_dim=32",), {"backbone": 2, "means": 2}),
        (("dataset.imbalance=10",), {"backbone": 1, "means": 2}),
        (("dataset.seed=3",), {"backbone": 1, "means": 2}),
        (("dataset.standardise=true", "dataset.mean=null", "dataset.std=null"), {"backbone": 1, "means": 2}),
        (("dataset.val_fraction=0.2",), {"backbone": 1, "means": 2}),
    ],
)
def test_what_changes_the_numbers_is_computed_again(
    composed: Made, calls: Counter[str], words: tuple[str, ...], expected: dict[str, int]
) -> None:
    for own in ((), words, ()):
        build(resolved(composed, *own)).trunk.probe()
    assert calls == {**expected, "probe": 2}


def test_seeds_that_cut_other_validation_splits_have_other_means(composed: Made, calls: Counter[str]) -> None:
    one, two = (open_trunk(resolved(composed, "dataset.val_fraction=0.3", f"seed={seed}")) for seed in (0, 1))
    assert not torch.equal(class_means(one), class_means(two))
    assert calls == {"backbone": 1, "means": 2}


def test_shared_means_are_those_that_are_computed_alone_and_nobody_changes_them(composed: Made) -> None:
    first = open_trunk(resolved(composed))
    means = class_means(first)
    expected = means.clone()
    data, labels = first.dataset, torch.from_numpy(first.dataset.train.labels)
    images = data.eval_transform(data.train.items.take(data.train.rows))["images"]
    with torch.no_grad():
        features = first.backbone.model(images).double()
    by_hand = torch.stack([features[labels == number].mean(0) for number in range(10)])
    torch.testing.assert_close(expected.double(), by_hand, rtol=1e-4, atol=1e-5)
    experiment = build(resolved(composed))
    with torch.no_grad():
        for value in experiment.cell.parameters():
            value.add_(1.0)
    assert torch.equal(class_means(open_trunk(resolved(composed))), expected)


def test_a_class_without_an_item_has_no_mean(composed: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    found = open_trunk(resolved(composed))
    rows = np.flatnonzero(found.dataset.train.labels != 3)
    part = found.dataset.train.subset(rows)
    poorer = replace(
        found, dataset=replace(found.dataset, train=part, counts=part.counts(10), index_hash="poorer")
    )
    with pytest.raises(
        UserError,
        match=r"^head\.init=class_mean needs an item of every class, and 3 has none; legal: random",
    ):
        class_means(poorer)


def test_the_backbone_is_frozen_in_eval_mode_and_a_run_leaves_it_as_it_is(composed: Made) -> None:
    before = open_trunk(resolved(composed)).backbone.model.state_dict()
    kept = {name: value.clone() for name, value in before.items()}
    experiment = build(resolved(composed, "scaling=gated"))
    model = experiment.trunk.backbone.model
    batch = next(experiment.learner.batches.iterate(0))
    experiment.network.outputs([experiment.cell], batch.inputs)[0].sum().backward()
    assert not any(module.training for module in model.modules())
    assert not any(value.requires_grad or value.grad is not None for value in model.parameters())
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    assert not any("forward" in vars(module) for module in model.modules())


def weights_file(path: Path, model: torch.nn.Module, factor: float) -> None:
    save_file({name: (factor * value).contiguous() for name, value in model.state_dict().items()}, path)


@pytest.mark.parametrize("home", [False, True])
def test_another_checkpoint_under_the_same_path_is_read_again(
    composed: Made, calls: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = open_trunk(resolved(composed)).backbone
    path = tmp_path / "weights.safetensors"
    words = (f"backbone.checkpoint='{'~/weights.safetensors' if home else path}'",)
    weights_file(path, plain.model, 1.0)
    first = open_trunk(resolved(composed, *words))
    same = open_trunk(resolved(composed, *words, "seed=5"))
    assert first.backbone is same.backbone
    assert first.backbone.hash == plain.hash
    means = class_means(first)
    size, now = path.stat().st_size, path.stat().st_mtime_ns
    weights_file(path, plain.model, 2.0)
    os.utime(path, ns=(now + 10**6, now + 10**6))
    assert path.stat().st_size == size
    other = open_trunk(resolved(composed, *words))
    assert other.backbone.hash != plain.hash
    name, value = next(iter(plain.model.state_dict().items()))
    assert torch.equal(other.backbone.model.state_dict()[name], 2 * value)
    assert not torch.equal(class_means(other), means)
    assert calls == {"backbone": 3, "means": 2}


def test_the_oldest_go_and_a_value_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEPT, "start", 2)
    made: list[str] = []

    def value(name: str) -> str:
        return shared("start", name, lambda: made.append(name) or name)  # type: ignore[func-returns-value]

    assert [value(name) for name in "aabacb"] == list("aabacb")
    assert made == ["a", "b", "c", "b"], "a was asked for after b, so c took the place of b"


def test_a_probe_is_the_first_training_items_as_evaluation_sees_them(composed: Made) -> None:
    found = open_trunk(resolved(composed))
    probe, data = found.probe(), found.dataset
    images = data.eval_transform(data.train.items.take(data.train.rows[:8]))["images"]
    assert torch.equal(probe.inputs["images"], images)
    assert probe.targets.tolist() == data.train.labels[:8].tolist()
    with torch.no_grad():
        assert torch.equal(probe.features, found.backbone.model(images))


def test_something_to_select_on_is_cut_where_it_is_needed(composed: Made) -> None:
    last = resolved(composed)
    backbone = open_trunk(last).backbone
    assert open_dataset(last, backbone).val is None
    best = resolved(composed, "fit.select=best", "fit.eval_every=1")
    val = open_dataset(best, backbone).val
    assert val is not None
    assert len(val) > 0
    with pytest.raises(UserError, match=r"^fit\.select=best needs items to select on"):
        open_dataset(resolved(composed, "fit.select=best", "dataset.val_fraction=0.0"), backbone)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there(composed: Made) -> None:
    with pytest.raises(
        UserError, match=r"^device=cuda: this machine has no CUDA device that torch can use; legal"
    ):
        open_trunk(resolved(composed, "device=cuda"))
    assert open_trunk(resolved(composed, "device=auto")).device == torch.device("cpu")


@pytest.mark.parametrize("positions", ["q,v", pytest.param("q,k,v,out,mlp1,mlp2", marks=pytest.mark.slow)])
def test_a_sweep_computes_what_its_jobs_share_once(
    calls: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    positions: str,
) -> None:
    """4 cells, and the 24 of a grid."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    num = 4 * len(positions.split(",")) if "mlp1" in positions else 4
    ranks = "1,2" if num == 24 else "1"
    grid = ("placement.depth=0,1", f"placement.position={positions}", f"peft.rank={ranks}")
    monkeypatch.setattr(sys, "argv", ["peftlab", "-m", *SMALL, *grid, "fit.epochs=1", "fit.batch_size=256"])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as stop:
        main()
    GlobalHydra.instance().clear()
    assert not stop.value.code, capfd.readouterr().err[-2000:]
    assert len(list(tmp_path.rglob("result.json"))) == num
    assert calls == {"backbone": 1, "means": 1, "probe": 1}


@pytest.mark.parametrize("is_known", [True, False])
def test_data_that_the_backbone_does_not_read(composed: Made, is_known: bool) -> None:
    """A backbone of one's own says with its spec what it reads, and data of one's own with their items."""
    run = resolved(composed)
    backbone = replace(open_trunk(run).backbone, input_spec=text_spec())
    images = run.dataset
    made = open_trunk(run).dataset
    run = replace(run, dataset=images if is_known else _Own("mine.data", images.options, lambda *_args: made))
    with pytest.raises(
        UserError, match=r"^dataset=digits_lt has images, and backbone\.name=\S+ reads texts; legal: "
    ):
        open_dataset(run, backbone)


class _Own(Choice):
    """Data that a package of one's own makes."""

    def __init__(self, target: str, options: Any, make: Made) -> None:
        super().__init__(target, options)
        object.__setattr__(self, "_make", make)

    def __call__(self, *args: Any, **more: Any) -> Any:
        return self._make(*args, **more)  # type: ignore[attr-defined]  # set above: a Choice is frozen
