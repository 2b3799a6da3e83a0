"""task=contrast from the command's config to its numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.configs import composed

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.model.load import load

WORDS = ("backbone=tiny_duo", "task=contrast", "dataset=digits_lt", "fit.epochs=1")
Call = Callable[..., Any]


def experiment(*words: str) -> Any:
    return build(resolve(composed(*WORDS, *words)))


def test_the_texts_are_of_the_task_or_of_the_data() -> None:
    words = [str(digit) for digit in range(10)]
    assert experiment().task.named == (words, ["a photo of a {}."])
    assert experiment("dataset.templates=['the {}']").task.named == (words, ["the {}"])
    assert experiment("dataset.templates=['the {}']", "task.templates=['{}', 'a {}']").task.named[1] == [
        "{}",
        "a {}",
    ]


@pytest.mark.parametrize("given", ["['a photo']", "['{} and {}']", "[]"])
def test_texts_with_another_number_of_names(given: str) -> None:
    with pytest.raises(
        UserError, match=r"task\.templates=.* has no place for one name; legal: texts with one \{\}"
    ):
        experiment(f"task.templates={given}")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("head=cosine",), "head=cosine does not go with task=contrast; legal: head=similarity, tip_adapter"),
        (("task=classify", "head=similarity"), "head=similarity does not go with task=classify; legal: head=cosine, linear"),
        (("task=classify", "head=tip_adapter"), "head=tip_adapter does not go with task=classify; legal: head=cosine, linear"),
        (("dataset=svamp",), "dataset=svamp has texts, and backbone.name=tiny_duo reads images"),
        (("dataset=trec_lt",), "dataset=trec_lt has texts, and backbone.name=tiny_duo reads images"),
        (("backbone=tiny", "placement.tower=text"), "placement.tower=text, but the backbone has one tower"),
        (("backbone=tiny", "peft=coop"), "peft: coop acts at the names of classes, and the backbone has one tower"),
        (("fit.compile=true",), "fit.compile=true with task=contrast"),
        (("peft=coop", "peft.class_specific=true", "dataset.classes=base"), "peft.class_specific=true with dataset.classes=base"),
        (("placement.tower=sound",), "placement.tower=sound is not legal"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_read(data_seen: Call, words: tuple[str, ...], sentence: str) -> None:
    with data_seen(), pytest.raises(UserError) as error:
        resolve(composed(*WORDS, *words))
    assert str(error.value).startswith(sentence)


def test_one_tower_has_no_names_to_compare_with() -> None:
    with pytest.raises(
        UserError, match="task=contrast compares images with the names of classes, and vit_tiny"
    ):
        experiment("backbone=tiny")


def test_texts_are_read_with_this_task_alone() -> None:
    with pytest.raises(
        UserError, match=r"never calls the modules of the sites text\.0\.q.*texts are read with task=contrast"
    ):
        build(resolve(composed(*WORDS[2:], "backbone=tiny_duo", "placement.tower=text")))


def result(folder: str = "run") -> Any:
    return json.loads(Path(folder, "result.json").read_text())


def run(call: Call, *words: str) -> Any:
    found = call(*WORDS, "hydra.run.dir=run", "resume=false", *words)
    assert found.code == 0, found.err
    return result()


def test_zero_shot_is_a_run_without_a_step(call: Call) -> None:
    found = run(call, "peft=linear_probe")
    assert found["state"] == "ok"
    assert found["metrics"]["test/mean_acc"] == found["metrics"]["frozen/mean_acc"]
    assert found["num_parameters"] | {"backbone": 0} == dict.fromkeys(found["num_parameters"], 0)
    again = call(*WORDS, "hydra.run.dir=run", "peft=linear_probe")
    assert "finished before" in again.err


@pytest.mark.parametrize(
    "words",
    [
        ("peft=coop", "optim.lr=0.1"),
        ("peft=lora", "placement.tower=text"),
        ("peft=maple", "peft.num_tokens=6"),
        ("peft=cocoop", "peft.num_tokens=8", "head.learn_scale=true"),
        ("peft=clip_adapter", "peft.bottleneck=32", "peft.depth=all"),
        ("peft=linear_probe", "head=tip_adapter"),
        ("peft=coop", "head=tip_adapter", "head.learn_keys=true"),
    ],
)
def test_a_finished_run_gives_its_answers_again(call: Call, words: tuple[str, ...]) -> None:
    found = run(call, *words)
    model = load("run")
    made = build(resolve(composed(*WORDS, *words)))
    right, total = torch.zeros(10), torch.zeros(10)
    for batch in made.trunk.batches(made.trunk.dataset.open_test()):
        predicted = model(**batch.inputs).argmax(1)
        right += torch.bincount(batch.targets[predicted == batch.targets], minlength=10)
        total += torch.bincount(batch.targets, minlength=10)
    assert found["metrics"]["test/mean_acc"] == pytest.approx(float((right / total).mean()))


@pytest.mark.parametrize("words", [("peft=linear_probe",), ("peft=lora", "fit.epochs=0")])
def test_a_run_without_a_step_is_validated(call: Call, words: tuple[str, ...]) -> None:
    """So that what is not trained, as head.alpha of tip_adapter, can be chosen there."""
    found = run(call, *words, "dataset.val_fraction=0.3", "fit.select=best")
    made = build(resolve(composed(*WORDS, *words, "dataset.val_fraction=0.3")))
    val = made.trunk.dataset.val
    counted = made.evaluate(made.outputs(is_test=False), made.trunk.batches(val))
    assert found["selected"] == {
        "by": "best",
        "step": 0,
        "val/mean_acc": pytest.approx(made.task.metrics(counted)["mean_acc"]),
    }


def test_new_classes_are_read_with_texts_of_their_own(call: Call) -> None:
    """Untrained, they are what a run on them says: another path to the same numbers."""
    base = run(call, "peft=linear_probe", "dataset.classes=base")
    new = run(call, "peft=linear_probe", "dataset.classes=new")
    own = base["metrics"]
    assert own["test/new_acc"] == own["frozen/new_acc"] == new["metrics"]["test/mean_acc"]
    assert own["test/new_acc_low"] < own["test/new_acc"] < own["test/new_acc_high"]
    a, b = own["test/mean_acc"], own["test/new_acc"]
    assert own["test/base_new_acc"] == pytest.approx(2 * a * b / (a + b))
    assert base["headline"][-2:] == ["new_acc", "base_new_acc"]
    assert "new_acc" not in str(new["headline"])


def test_training_images_are_kept_of_base_classes_alone(call: Call) -> None:
    plain = run(call, "peft=linear_probe", "dataset.classes=base")["metrics"]
    kept = ("peft=linear_probe", "head=tip_adapter", "head.alpha=30", "dataset.classes=base")
    found = run(call, *kept)["metrics"]
    assert found["test/new_acc"] == found["frozen/new_acc"] == plain["test/new_acc"]
    groups = ("mean", "head", "medium", "tail")
    own, frozen = ([found[f"{kind}/{name}_acc"] for name in groups] for kind in ("test", "frozen"))
    assert own != frozen == [plain[f"test/{name}_acc"] for name in groups]
    made = build(resolve(composed(*WORDS, *kept)))
    data, head = made.trunk.dataset, made.cell.head
    assert head.labels.tolist() == data.train.labels.tolist()
    some = data.train.subset(torch.arange(3).numpy())
    (batch,) = made.trunk.batches(some)
    images = made.network.features([made.cell], batch.inputs)[0][:3]
    torch.testing.assert_close(images, head.keys[:3])  # the transform of the test, in the order of the items


def test_what_a_run_is_compared_with_is_zero_shot(call: Call) -> None:
    """In the templates, whatever texts the method begins with."""
    plain = run(call, "peft=linear_probe")["metrics"]
    others = ("peft=coop",), ("peft=cocoop", "peft.num_tokens=8"), ("peft=lora",)
    for words in (*others, ("peft=linear_probe", "head=tip_adapter")):
        assert run(call, *words)["metrics"]["frozen/mean_acc"] == plain["test/mean_acc"]


def test_a_trained_context_meets_new_names(call: Call) -> None:
    words = ("peft=coop", "dataset.classes=base", "optim.lr=0.3", "fit.epochs=3")
    found = run(call, *words)["metrics"]
    model = load("run")
    made = build(resolve(composed(*WORDS, "peft=coop", "dataset.classes=new")))
    network, cell = made.network, made.cell
    cell.load_state(model.state())
    cell.eval()
    right, total = torch.zeros(5), torch.zeros(5)
    for batch in made.trunk.batches(made.trunk.dataset.open_test()):
        predicted = network.outputs([cell], batch.inputs)[0].argmax(1)
        right += torch.bincount(batch.targets[predicted == batch.targets], minlength=5)
        total += torch.bincount(batch.targets, minlength=5)
    assert found["test/new_acc"] == pytest.approx(float((right / total).mean()))
    assert found["test/new_acc"] != found["frozen/new_acc"]
    assert found["gain/new_acc"] == pytest.approx(found["test/new_acc"] - found["frozen/new_acc"])


def test_where_the_vectors_lie(call: Call) -> None:
    found = run(call, "task.centres=true", "peft=coop")["metrics"]
    assert 0 < found["test/mean_distance"] < 2
    assert found["frozen/mean_distance"] == pytest.approx(
        found["test/mean_distance"]
    )  # the image tower is left alone
