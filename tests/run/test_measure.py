"""The frozen backbone beside the result: against its own features, and against a run that changed nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import functional

from peftlab.backbone.backbone import Backbone
from peftlab.evaluate.centres import Centres, centre_metrics
from peftlab.run.finish import finish
from peftlab.run.measure import measure
from peftlab.run.state import Run

Make = Callable[..., Run]


def test_a_run_that_changed_nothing_gains_nothing(state: Make) -> None:
    experiment = state().experiment
    experiment.cell.eval()
    counted, metrics = measure(experiment, experiment.trunk.dataset.open_test())
    assert metrics["test/mean_acc"] == metrics["frozen/mean_acc"]
    assert {
        metrics[f"gain/{name}{end}"] for name in experiment.task.headline for end in ("", "_low", "_high")
    } == {0.0}
    assert counted.total.sum() == 901


def change(run: Run) -> None:
    with torch.no_grad():
        for value in run.experiment.cell.theta().values():
            value.add_(0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))


def test_frozen_is_the_head_of_class_means_on_frozen_features_whatever_was_trained(state: Make) -> None:
    run = state()
    run.open()
    change(run)
    result: dict[str, Any] = finish(run, None)
    metrics, experiment = result["metrics"], run.experiment
    trunk, right, total = experiment.trunk, torch.zeros(10), torch.zeros(10)
    means = torch.nn.functional.normalize(trunk.start(experiment.task), dim=-1)
    for batch in trunk.batches(trunk.dataset.open_test()):
        with torch.no_grad():
            answers = (trunk.backbone.features(batch.inputs) @ means.T).argmax(-1)
        right += torch.bincount(batch.targets[answers == batch.targets], minlength=10)
        total += torch.bincount(batch.targets, minlength=10)
    assert metrics["frozen/mean_acc"] == pytest.approx((right / total).mean().item())
    assert metrics["gain/mean_acc"] == pytest.approx(metrics["test/mean_acc"] - metrics["frozen/mean_acc"])
    assert metrics["gain/tail_acc_low"] <= metrics["gain/tail_acc"] <= metrics["gain/tail_acc_high"]
    written = run.record.read("result.json")["metrics"]
    assert written["frozen/mean_acc"] == metrics["frozen/mean_acc"]


def test_centres_of_the_frozen_features_stand_beside_those_of_the_run(state: Make) -> None:
    run = state("task.centres=true")
    run.open()
    change(run)
    metrics = finish(run, None)["metrics"]
    trunk = run.experiment.trunk
    centres = Centres.zeros(10, 16)
    for features, labels in trunk.features(trunk.dataset.open_test()):
        centres.update(features, labels)
    expected = centre_metrics(centres, trunk.dataset.groups)
    assert {name: metrics[f"frozen/{name}"] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert metrics["frozen/tail_distance"] != pytest.approx(metrics["test/tail_distance"], abs=1e-6)
    assert "gain/tail_distance" not in metrics
    other = state("task.centres=true", "head=linear", "head.init=random").experiment
    other.cell.eval()
    assert measure(other, trunk.dataset.open_test())[1]["frozen/tail_distance"] is None


def test_views_are_averaged_in_the_test_its_predictions_and_the_frozen_baseline(state: Make) -> None:
    """Against logits of crops that are cut by hand."""
    run = state("dataset.views=five_crop", "dataset.views_expand=4")
    plain = state(folder="plain").experiment
    run.open()
    change(run)
    metrics = finish(run, None)["metrics"]
    experiment, trunk = run.experiment, run.experiment.trunk
    assert trunk.backbone is plain.trunk.backbone
    assert torch.equal(trunk.start(experiment.task), plain.trunk.start(plain.task)), "training sees one view"
    test, size = trunk.dataset.open_test(), trunk.backbone.input_spec.size
    pixels = torch.stack([torch.as_tensor(one) for one in test.items.take(test.rows)])
    mode = functional.InterpolationMode(trunk.backbone.input_spec.interpolation)
    larger = functional.resize(pixels, [size + 4], mode, antialias=True)
    corners = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
    spec: Any = trunk.backbone.input_spec
    mean, std = (torch.tensor(own)[:, None, None] for own in (spec.mean, spec.std))
    logits, start = torch.zeros(len(test), 10), torch.zeros(len(test), 10)
    head = plain.cell.head
    with torch.no_grad():
        for top, left in corners:
            images = (larger[:, :, top : top + size, left : left + size] / 255 - mean) / std
            logits += experiment.network.outputs([experiment.cell], {"images": images})[0] / 5
            start += head(trunk.backbone.features({"images": images})) / 5
    labels = torch.from_numpy(test.labels)
    for name, own in (("test", logits), ("frozen", start)):
        right = torch.bincount(labels[own.argmax(-1) == labels], minlength=10) / torch.bincount(labels)
        assert metrics[f"{name}/mean_acc"] == pytest.approx(right.mean().item())
    rows = (run.record.folder / "predictions.csv").read_text().splitlines()[1:]
    names = trunk.dataset.class_names
    assert [row.split(",")[2] for row in rows] == [names[place] for place in logits.argmax(-1).tolist()]
    outputs = experiment.outputs(is_test=True)
    found = torch.cat([outputs(batch.inputs).detach() for batch in trunk.batches(test)])
    torch.testing.assert_close(found, logits, rtol=0, atol=1e-5)


def test_a_head_that_starts_at_random_has_no_frozen_accuracy(state: Make) -> None:
    run = state("head=linear", "head.init=random")
    run.open()
    metrics = finish(run, None)["metrics"]
    names = [f"{kind}/{name}" for kind in ("frozen", "gain") for name in run.experiment.task.headline]
    assert {metrics[name] for name in names} == {None}
    assert metrics["test/mean_acc"] is not None


@pytest.mark.usefixtures("fresh_trunk")
def test_runs_with_one_head_share_what_the_frozen_backbone_answers(
    state: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    features = Backbone.features
    monkeypatch.setattr(Backbone, "features", lambda *given: calls.append(1) or features(*given))

    def measured(*words: str) -> tuple[int, dict[str, float | None]]:
        experiment = state("fit.eval_batch_size=500", *words).experiment
        experiment.cell.eval()
        calls.clear()
        _, metrics = measure(experiment, experiment.trunk.dataset.open_test())
        return len(calls), {key: value for key, value in metrics.items() if key.startswith("frozen/")}

    first = measured("placement.position=q")
    assert first[0] == 4, "901 images in two batches, with and without sites"
    for words in (("placement.position=v",), ("scaling=learned", "seed=1"), ("peft=bitfit",)):
        assert measured(*words) == (2, first[1])
    assert measured("head=linear") == (4, measured("head=linear")[1])
    assert measured("fit.precision=bf16")[0] == 4
    assert measured("dataset.imbalance=5")[0] == 4
