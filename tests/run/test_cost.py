"""What a plan says of a job's cost."""

from collections.abc import Callable
from typing import Any

from peftlab.config.resolve import resolve
from peftlab.run.cost import predicted


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
