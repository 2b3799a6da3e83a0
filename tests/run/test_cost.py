"""What a plan says of a job's cost."""

from collections.abc import Callable
from typing import Any

from peftlab.config.resolve import resolve
from peftlab.run.cost import cost_class, predicted


def test_parameters_time_and_memory(change: Callable[..., dict[str, Any]]) -> None:
    small = {"fit.batch_size": 4, "device": "cpu"}
    found = predicted(resolve(change(small, backbone="tiny")))
    assert found.trained is not None
    assert found.trained > 0
    assert found.step_s is not None
    assert found.step_s > 0
    assert found.memory_mib is not None
    assert found.memory_mib > 10
    assert predicted(resolve(change(small, backbone="tiny", peft="mask_random"))) == (None, None, None)


def test_jobs_that_cost_the_same_have_one_class(change: Callable[..., dict[str, Any]]) -> None:
    first = cost_class(resolve(change({"device": "cpu"}, backbone="tiny")))
    assert first == cost_class(
        resolve(change({"device": "cpu", "seed": 3, "optim.lr": 0.5}, backbone="tiny"))
    )
    for other in (
        {"peft.rank": 2},
        {"fit.batch_size": 5},
        {"placement.depth": "0"},
        {"fit.checkpointing": True},
    ):
        assert first != cost_class(resolve(change({"device": "cpu", **other}, backbone="tiny")))
    clips = [
        resolve(change({"dataset.frames": frames}, backbone="tiny", dataset="moving_digits"))
        for frames in (2, 4)
    ]
    assert len({cost_class(each) for each in clips}) == 2
