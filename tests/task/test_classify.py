"""task=classify: what depends on classes, asked of a small real data set."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.dataset.batches import EvalBatches, KeptBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.text.texts import Columns, text_split
from peftlab.errors import UserError
from peftlab.evaluate.centres import Centres, centre_metrics
from peftlab.evaluate.metrics import Counts, group_metrics
from peftlab.head.cosine import Cosine
from peftlab.head.linear import Linear
from peftlab.inputs.batch import Batch
from peftlab.inputs.image import InputSpec
from peftlab.task.classify import Classify
from peftlab.task.task import Forward

CPU = torch.device("cpu")
READ = SimpleNamespace(
    num_features=16, unembedding=None, similarity=None
)  # what a head has to know of a backbone
Made = Callable[..., Any]


@pytest.fixture
def resolved(composed: Made) -> Callable[..., Resolved]:
    return lambda *words: resolve(composed("backbone=tiny", "dataset=digits_lt", *words))


@pytest.fixture
def dataset(resolved: Callable[..., Resolved]) -> Dataset:
    spec = InputSpec(16, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    found: Dataset = resolved().dataset(spec, 0)
    return found


@pytest.fixture
def task(resolved: Callable[..., Resolved], dataset: Dataset) -> Callable[..., Classify]:
    """`task("head=linear")`: the task of these choices on digits_lt."""

    def make(*words: str, data: Dataset = dataset) -> Classify:
        run = resolved(*words)
        found: Classify = run.task(data, run.head, run.loss)
        return found

    return make


def counts(correct: list[int], predicted: list[int], total: list[int]) -> Counts:
    return Counts(*(torch.tensor(values, dtype=torch.int64) for values in (correct, predicted, total)))


def some() -> Counts:
    """Ten classes; the last has no test item."""
    correct = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    return counts(correct, [12, 11, 9, 8, 7, 5, 4, 3, 2, 1], [10] * 9 + [0])


def test_it_compares_by_the_mean_over_classes_and_shows_the_groups(task: Callable[..., Classify]) -> None:
    found = task()
    assert found.num_classes == 10
    assert found.primary == "mean_acc"
    assert found.headline == ("mean_acc", "head_acc", "medium_acc", "tail_acc")


@pytest.mark.parametrize(("head", "kind"), [("linear", Linear), ("cosine", Cosine)])
def test_the_head_is_the_chosen_one_over_all_classes(
    task: Callable[..., Classify], head: str, kind: type
) -> None:
    one, two = (
        task(f"head={head}", "head.init=random").head(READ, None, torch.Generator().manual_seed(seed))
        for seed in (3, 3)
    )
    assert isinstance(one, kind)
    assert one(torch.randn(4, 16)).shape == (4, 10)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_head_asks_for_means_only_where_it_starts_from_them(task: Callable[..., Classify]) -> None:
    assert task("head=linear", "head.init=class_mean").wants_start()
    assert not task("head=linear", "head.init=random").wants_start()
    assert not task("head=linear", "head.init=zeros").wants_start()
    probes = [
        task(*words, "head.init=linear_probe").wants_start()
        for words in (("head=linear",), ("head=cosine",), ("head=cosine", "head.scale=10"))
    ]
    with pytest.raises(UserError, match=r"^head\.init=linear_probe: after .* legal: class_mean, random$"):
        task("head.init=linear_probe").start([(torch.full((277, 16), math.nan), torch.arange(277) % 10)])
    assert len({*probes, task().wants_start()}) == 4, "what is fitted depends on the head, means do not"
    assert task("head=cosine").wants_start() == task("head=linear").wants_start()
    means = torch.randn(10, 16)
    head = task("head=linear", "head.init=class_mean").head(READ, means, torch.Generator())
    assert torch.equal(head.weight, means)
    assert head.weight.data_ptr() != means.data_ptr(), "means are shared by all runs, and a head is trained"


def test_the_loss_has_the_prior_of_the_labels_that_it_is_given(task: Callable[..., Classify]) -> None:
    """Also of classes that they lack: every class has its place."""
    targets = np.array([0, 0, 0, 1, 3], dtype=np.int64)
    loss = task("loss.tau=1.0").loss(targets, CPU)
    logits, labels = torch.randn(3, 10), torch.tensor([0, 1, 3])
    prior = torch.bincount(torch.from_numpy(targets), minlength=10) / 5
    expected = F.cross_entropy(logits + prior.log(), labels)
    torch.testing.assert_close(loss(logits, labels), expected)
    plain = task("loss=cross_entropy").loss(targets, CPU)
    torch.testing.assert_close(plain(logits, labels), F.cross_entropy(logits, labels))


def test_a_batch_weighs_as_many_as_its_items(task: Callable[..., Classify]) -> None:
    batch = Batch({"images": torch.zeros(7, 3, 2, 2)}, torch.zeros(7, dtype=torch.long), torch.arange(7))
    assert task().weight(batch) == 7


def test_it_counts_right_and_wrong_answers_by_class(task: Callable[..., Classify], dataset: Dataset) -> None:
    """Of a table that is right but for class 2, which it takes for class 1."""
    entered: list[str] = []

    @contextmanager
    def context() -> Iterator[None]:
        entered.append("in")
        yield

    labels = dataset.train.labels
    answers = iter(np.where(labels == 2, 1, labels))

    def outputs(inputs: dict[str, Tensor]) -> Tensor:
        own = torch.tensor([next(answers) for _ in range(len(inputs["images"]))])
        return F.one_hot(own, 10).float()

    batches = EvalBatches(dataset.train, dataset.eval_transform, batch_size=100, num_workers=0)
    counted = task().evaluate(outputs, batches, CPU, context)
    assert len(entered) == math.ceil(len(labels) / 100)
    total = dataset.counts
    assert counted.total.tolist() == total.tolist()
    assert counted.correct.tolist() == [0 if number == 2 else n for number, n in enumerate(total.tolist())]
    assert counted.predicted[1] == total[1] + total[2]
    assert task().evaluate(outputs, KeptBatches(dataset.train, []), CPU, nullcontext).total.sum() == 0


def test_metrics_are_those_of_the_class_groups(task: Callable[..., Classify], dataset: Dataset) -> None:
    found, expected = task().metrics(some()), group_metrics(some(), dataset.groups)
    assert found.keys() == expected.keys()
    assert all(value == pytest.approx(expected[name], nan_ok=True) for name, value in found.items())
    assert found["head_acc"] == pytest.approx(np.mean([0.9, 0.8, 0.7]))
    assert found["num_absent"] == 1


def test_the_table_by_class_has_a_row_per_class_and_an_absent_one_has_no_accuracy(
    task: Callable[..., Classify], dataset: Dataset
) -> None:
    (name,) = tables = task().tables(some())
    assert name == "per_class"
    head, *rows = tables[name]
    assert head == ["class", "group", "train_num", "val_num", "test_num", "acc"]
    assert [row[0] for row in rows] == dataset.class_names
    group = {number: word for word, classes in dataset.groups.items() for number in classes}
    assert [row[1] for row in rows] == [group[number] for number in range(10)]
    assert [row[2] for row in rows] == dataset.counts.tolist()
    assert [row[3] for row in rows] == [0] * 10
    assert [row[4] for row in rows] == [10] * 9 + [0]
    assert [row[5] for row in rows[:9]] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert rows[9][5] is None
    assert all(type(value) in (str, int, float, type(None)) for row in rows for value in row), (
        "as JSON and CSV"
    )


def test_the_table_by_class_counts_validation_items(task: Callable[..., Classify], dataset: Dataset) -> None:
    own = np.flatnonzero(dataset.train.labels == 2)[:3]
    rows = task(data=replace(dataset, val=dataset.train.subset(own))).tables(some())["per_class"][1:]
    assert [row[3] for row in rows] == [0, 0, 3, *[0] * 7]


def test_a_class_of_no_group_has_none_in_the_table(task: Callable[..., Classify], dataset: Dataset) -> None:
    bare = task(data=replace(dataset, groups={"head": [0], "medium": [], "tail": [9]}))
    rows = bare.tables(some())["per_class"][1:]
    assert [row[1] for row in rows] == ["head", *[""] * 8, "tail"]


def test_the_summary_says_accuracy_interval_and_items_of_every_group(task: Callable[..., Classify]) -> None:
    found = task()
    metrics = found.metrics(some())
    table, line = found.summary(metrics)
    assert table[0] == ["", "accuracy %", "95 % interval", "images"]
    assert [row[0] for row in table[1:]] == ["mean", "head", "medium", "tail"]
    mean = table[1]
    assert mean[1] == "50.0"
    assert mean[2] == f"{100 * metrics['mean_acc_low']:.1f} - {100 * metrics['mean_acc_high']:.1f}"
    assert mean[3] == "90"
    for name in ("micro_acc", "macro_f1", "worst_acc", "harmonic_acc", "geometric_acc"):
        assert f"{name} {100 * metrics[name]:.1f}" in line


def test_the_summary_has_the_frozen_accuracy_and_the_gain_beside_it(task: Callable[..., Classify]) -> None:
    found = task()
    metrics: dict[str, float | None] = {**found.metrics(some())}
    for name in found.headline:
        metrics |= {
            f"frozen/{name}": 0.31,
            f"gain/{name}": 0.19,
            f"gain/{name}_low": -0.01,
            f"gain/{name}_high": 0.2,
        }
    table, _ = found.summary(metrics)
    assert table[0] == ["", "accuracy %", "95 % interval", "frozen", "gain, paired 95 %", "images"]
    assert table[1][3:] == ["31.0", "+19.0 (-1.0, +20.0)", "90"]
    without, _ = found.summary({**metrics, "frozen/mean_acc": None, "gain/mean_acc_high": None})
    assert without == found.summary(found.metrics(some())).table


@pytest.mark.parametrize(("high", "said"), [(-0.01, True), (0.01, False), (None, False)])
def test_a_run_that_is_worse_than_the_frozen_backbone_is_told_what_to_try(
    task: Callable[..., Classify], high: float | None, said: bool
) -> None:
    found = task()
    gain = dict.fromkeys(f"gain/{name}{end}" for name in found.headline for end in ("", "_low", "_high"))
    line = found.summary({**found.metrics(some()), **gain, "gain/mean_acc_high": high}).line
    assert ("worse than the frozen backbone" in line and "optim.lr" in line) == said


def test_a_group_without_a_class_says_so(task: Callable[..., Classify], dataset: Dataset) -> None:
    bare = task(data=replace(dataset, groups={"head": list(range(10)), "medium": [], "tail": []}))
    table, _ = bare.summary(bare.metrics(some()))
    assert table[3:] == [["medium", "no class", "", "0"], ["tail", "no class", "", "0"]]


def test_the_card_has_the_class_names_in_the_order_of_the_outputs(
    task: Callable[..., Classify], dataset: Dataset
) -> None:
    assert task().card() == {"class_names": dataset.class_names}


def test_the_data_in_a_sentence(task: Callable[..., Classify], dataset: Dataset) -> None:
    text = task().data_line(277)
    assert text == (
        "digits_lt, 277 images to train on, 10 classes (3 head, 3 medium, 4 tail), 89 to 3 images a class; split"
        f" {dataset.index_hash[:12]}"
    )
    validated = replace(dataset, val=dataset.train.subset(np.arange(5)))
    assert "277 images to train on, 5 to validate, 10 classes" in task(data=validated).data_line(277)
    assert task(data=replace(dataset, note="so it is")).data_line(277) == f"{text}; so it is"


def test_what_the_items_are_called(task: Callable[..., Classify], dataset: Dataset) -> None:
    columns = Columns([f"text {row}" for row in range(277)], None)
    texts = text_split(dataset.class_names, dataset.train.labels, columns, str)
    own = task(data=replace(dataset, train=texts))
    assert own.data_line(277).startswith("digits_lt, 277 texts to train on, 10 classes")
    assert ", 89 to 3 texts a class; split " in own.data_line(277)
    assert own.summary(own.metrics(some())).table[0][-1] == "texts"
    assert task().summary(own.metrics(some())).table[0][-1] == "images"


def test_answers_name_every_item_of_the_split_in_its_order(
    task: Callable[..., Classify], dataset: Dataset
) -> None:
    own, split = task(), dataset.open_test()

    def outputs(inputs: dict[str, Tensor]) -> Tensor:
        return torch.eye(10)[torch.full((len(next(iter(inputs.values()))),), 3)]

    batches = [
        Batch({"x": torch.zeros(len(part), 1)}, part, part)
        for part in torch.from_numpy(split.labels).split(7)
    ]
    head, *rows = own.answers(own.evaluate(outputs, KeptBatches(split, batches), CPU, nullcontext), split)
    assert head == ["item", "class", "predicted"]
    assert [row[0] for row in rows] == split.rows.tolist()
    assert [row[1] for row in rows] == [dataset.class_names[label] for label in split.labels]
    assert {row[2] for row in rows} == {dataset.class_names[3]}
    with pytest.raises(ValueError, match="shorter"):
        own.answers(own.evaluate(outputs, KeptBatches(split, batches[1:]), CPU, nullcontext), split)


def test_only_a_test_reads_where_the_features_lie(task: Made, dataset: Dataset) -> None:
    """The numbers of the features that the head read, beside the same accuracies."""
    split = dataset.train.subset(np.arange(40))
    features = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    labels, rows = torch.as_tensor(split.labels), torch.arange(40)
    batches = KeptBatches(
        split, [Batch({"images": features[at]}, labels[at], rows[at]) for at in (slice(0, 16), slice(16, 40))]
    )
    found = {}
    for centres in ("true", "false"):
        own = task(f"task.centres={centres}", "head.init=random")
        head = own.head(READ, None, torch.Generator().manual_seed(0))
        forward = Forward(lambda inputs: inputs["images"], head)
        for is_test in (True, False):
            counted = own.evaluate(own.outputs(forward, is_test=is_test), batches, CPU, nullcontext)
            found[centres, is_test] = own.metrics(counted)
            table = own.tables(counted)["per_class"]
            assert table[0][6:] == ["distance", "variance"] * ((centres, is_test) == ("true", True))
            assert {len(row) for row in table} == {len(table[0])}
    wanted = Centres.zeros(10, 16)
    wanted.update(features, labels)
    assert found["true", True] == pytest.approx(
        {**found["false", True], **centre_metrics(wanted, dataset.groups)}, nan_ok=True
    )
    for other in (("true", False), ("false", False)):
        assert found[other] == pytest.approx(found["false", True], nan_ok=True)


def test_two_that_are_compared_have_centres_of_their_own(task: Made, dataset: Dataset) -> None:
    own = task("task.centres=true", "head.init=random")
    head = own.head(READ, None, torch.Generator().manual_seed(0))
    images = torch.randn(10, 16, generator=torch.Generator().manual_seed(0))
    labels = torch.as_tensor(dataset.train.labels[:10])
    batches = KeptBatches(
        dataset.train.subset(np.arange(10)), [Batch({"images": images}, labels, torch.arange(10))]
    )
    outputs = [
        own.outputs(Forward(lambda inputs, s=shift: inputs["images"] + s, head), is_test=True)
        for shift in (0.0, 3.0)
    ]
    first, second, _ = own.compare(*outputs, batches, CPU, nullcontext)
    alone = [own.evaluate(output, batches, CPU, nullcontext) for output in outputs]
    assert [own.metrics(each)["mean_distance"] for each in (first, second)] == [
        own.metrics(each)["mean_distance"] for each in alone
    ]
    assert own.metrics(second)["mean_distance"] < own.metrics(first)["mean_distance"]
