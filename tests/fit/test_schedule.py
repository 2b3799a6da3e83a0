"""How many steps there are, what each takes, and at which rate."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.fit.fit import fit
from peftlab.fit.plan import Plan
from peftlab.fit.schedule import Schedule, base_rates, lr_factor, set_rates

SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "head=linear")
PLAN = Plan(
    epochs=3,
    batch_size=8,
    sampler="uniform",
    accumulate=4,
    warmup_epochs=0,
    clip_norm=None,
    precision="fp32",
    ema=None,
    mixup=0.0,
    cutmix=0.0,
    prograd=None,
    compile=False,
    checkpointing=False,
    select="last",
    eval_every=None,
    save_every=1,
    stop_after=None,
    start_from=None,
    eval_batch_size=8,
)


def test_lr_factor_is_linear_then_half_a_cosine() -> None:
    assert [lr_factor(step, 14, 4) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert lr_factor(4, 14, 4) == 1.0
    assert lr_factor(9, 14, 4) == pytest.approx(0.5)
    assert lr_factor(14, 14, 4) == pytest.approx(0.0)
    factors = [lr_factor(step, 14, 4) for step in range(4, 15)]
    assert factors == sorted(factors, reverse=True), "it must not rise again in the last epochs"


def test_the_schedule_spans_the_true_number_of_steps(composed: Callable[..., dict[str, Any]]) -> None:
    experiment = build(resolve(composed(*SMALL, "fit.accumulate=2", "optim.lr=0.01")))
    plan = experiment.resolved.fit
    done = [happened[0] for happened in fit(plan, experiment.network, [experiment.learner], start=0)]
    per_epoch = experiment.schedule.per_epoch
    assert per_epoch == math.ceil(math.ceil(len(experiment.train) / 64) / 2)
    assert len(done) == experiment.schedule.num_steps == 2 * per_epoch
    assert done[0].lr == pytest.approx(0.01)
    assert done[-1].lr == pytest.approx(0.01 * lr_factor(len(done) - 1, len(done), 0))


@pytest.mark.parametrize(("after", "end"), [(None, 9), (1, 3), (2, 6), (3, 9), (7, 9), ("end", 9)])
def test_a_training_ends_after_an_epoch_on_the_schedule_of_all(after: Any, end: int) -> None:
    whole, schedule = Schedule(PLAN, 12), Schedule(replace(PLAN, stop_after=after), 12)
    assert (schedule.end, schedule.num_steps) == (end, 9)
    assert [schedule.lr_factor(index) for index in range(9)] == [whole.lr_factor(index) for index in range(9)]


@pytest.mark.parametrize("num_batches", [1, 4, 5, 10])
@pytest.mark.parametrize("accumulate", [1, 3, 4])
def test_the_steps_take_every_batch_of_every_epoch_once_and_in_order(
    num_batches: int, accumulate: int
) -> None:
    schedule = Schedule(replace(PLAN, accumulate=accumulate), num_batches)
    taken = []
    for index in range(schedule.num_steps):
        first = schedule.first_batch(index)
        taken.append(list(range(first, first + schedule.batches_in(index))))
        assert 1 <= len(taken[-1]) <= accumulate
        assert len({batch // num_batches for batch in taken[-1]}) == 1, (
            "a step reaches over the end of an epoch"
        )
    assert [batch for step in taken for batch in step] == list(range(3 * num_batches))


def test_warm_up_is_in_epochs() -> None:
    schedule = Schedule(replace(PLAN, accumulate=1, warmup_epochs=1.5), 4)
    assert [schedule.lr_factor(index) for index in range(12)] == [
        lr_factor(index, 12, 6) for index in range(12)
    ]


def test_rates_are_set_from_their_base_however_often() -> None:
    values = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [value], "lr": lr} for value, lr in zip(values, (1.0, 0.5), strict=True)]
    optimizer = torch.optim.SGD(groups)
    base = base_rates([optimizer])
    for factor in (0.5, 0.1, 1.0):
        set_rates([optimizer], base, factor)
        assert [group["lr"] for group in optimizer.param_groups] == [factor, 0.5 * factor]
    again = torch.optim.SGD([{"params": [value], "lr": 7.0} for value in values])
    again.load_state_dict(optimizer.state_dict())
    assert base_rates([again]) == base, "a resumed run starts from the rates before the schedule"
