"""When gamma is learned, and on which split."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.scaling.plan import OuterPlan

PLAN = {
    "every": 3,
    "warmup": 2,
    "lr": 0.1,
    "batch_size": 8,
    "fraction": 0.2,
    "stratified": True,
    "resample": 6,
    "dropout": False,
}


def test_due_every_so_many_steps_after_the_warm_up() -> None:
    plan = OuterPlan(**PLAN, hold_out=False)
    assert [step for step in range(1, 13) if plan.due(step)] == [3, 6, 9, 12]
    late = OuterPlan(**{**PLAN, "warmup": 6}, hold_out=False)
    assert [step for step in range(1, 13) if late.due(step)] == [9, 12]


def test_a_split_is_drawn_anew_after_so_many_steps_or_held_out_for_good() -> None:
    plan = OuterPlan(**PLAN, hold_out=False)
    assert [plan.draw(step) for step in (1, 3, 6, 7, 12, 13)] == [0, 0, 0, 1, 1, 2]
    assert {OuterPlan(**PLAN, hold_out=True).draw(step) for step in range(1, 40)} == {0}


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 99))
def test_no_step_of_the_warm_up_is_due(every: int, warmup: int, step: int) -> None:
    plan = OuterPlan(**{**PLAN, "every": every, "warmup": warmup}, hold_out=False)
    assert plan.due(step) == (step > warmup and step % every == 0)


def test_it_needs_no_torch() -> None:
    code = "import sys, peftlab.scaling.plan, peftlab.scaling.rules; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        OuterPlan(**PLAN, hold_out=False).every = 4  # type: ignore[misc]
