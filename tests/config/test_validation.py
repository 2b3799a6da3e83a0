"""Whether a config validates on anything, and by what, as far as it can be said without data."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.config.validation import PRIMARY, has_none, metric_of
from peftlab.errors import UserError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), True),
        (("dataset.val_fraction=0.2",), False),
        (("fit.select=best",), False),
        (("fit.select=best", "dataset.val_fraction=0"), True),
        (("dataset=cifar100_lt",), True),
        (("dataset=hub", "dataset.source.val_split=validation"), False),
        (("dataset=image_folder",), False),
    ],
)
def test_a_config_without_validation_is_known(
    composed: Callable[..., dict[str, Any]], words: tuple[str, ...], expected: bool
) -> None:
    assert has_none(composed(*words)) is expected


def test_a_config_that_is_wrong_is_not_judged() -> None:
    assert not has_none({})
    assert not has_none({"dataset": {"source": None}, "fit": {}})


def test_a_sweep_goes_by_the_metric_of_its_task() -> None:
    """That which the tasks say themselves, which import torch."""
    from peftlab.task.classify import Classify
    from peftlab.task.contrast import Contrast
    from peftlab.task.generate import Generate

    known = {"classify": Classify, "contrast": Contrast, "generate": Generate}
    assert {word: task.primary for word, task in known.items()} == PRIMARY
    for word, task in known.items():
        assert metric_of({"_target_": f"{task.__module__}.{task.__name__}"}, None) == PRIMARY[word]


WRITES: dict[str, Any] = {"_target_": "peftlab.task.generate.Generate", "decode": "test"}


@pytest.mark.parametrize(("task", "given", "sentence"), [
    (WRITES, "mean_acc", "metric=mean_acc cannot be compared with task=generate; legal: log_likelihood, token_acc, or"),
    (WRITES, "nll", "metric=nll cannot be compared"),
    ({**WRITES, "decode": "always"}, "nll", "metric=nll cannot be compared"),
    ({"_target_": "mine.task.Own"}, None, "metric=null is known for task=classify, contrast, generate and not for mine.task.Own"),
])  # fmt: skip
def test_a_metric_that_no_job_has_is_refused(task: dict[str, Any], given: str | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        metric_of(task, given)


def test_other_metrics_are_taken_as_they_are_given() -> None:
    assert metric_of(WRITES, "token_acc") == "token_acc"
    assert metric_of({**WRITES, "decode": "always"}, "mean_acc") == "mean_acc"
    assert metric_of({"_target_": "mine.task.Own"}, "own") == "own"
