"""The training loop: a flat generator of steps. Logging, evaluation and checkpoints belong to its consumer."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import torch
from torch import nn

from peftlab.dataset.batches import TrainBatches
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.network.adapted import Adapted
from peftlab.option import NonNegativeFloat, PositiveFloat, PositiveInt
from peftlab.scaling.outer import Outer, OuterStep
from peftlab.stream import generator, stream_seed


@dataclass(frozen=True)
class Plan:
    """The `fit` group. Units: epochs of the training split; `batch_size` images per forward, `accumulate` per step."""

    epochs: PositiveInt
    batch_size: PositiveInt
    accumulate: PositiveInt
    warmup_epochs: NonNegativeFloat
    clip_norm: PositiveFloat | None
    precision: Literal["fp32", "bf16"]
    select: Literal["last", "best"]
    eval_every: PositiveInt | None
    save_every: PositiveInt
    eval_batch_size: PositiveInt


class Step(NamedTuple):
    """What happened in optimizer step `number` (1 is the first)."""

    number: int
    epoch: float
    loss: float
    lr: float
    outer: OuterStep | None


class Diverged(Exception):
    """A loss that is not finite."""

    def __init__(self, step: int, value: float, last: Step | None) -> None:
        super().__init__(f"the loss became {value} in step {step}")
        self.step, self.value, self.last = step, value, last


def steps_per_epoch(plan: Plan, batches: TrainBatches) -> int:
    """Optimizer steps in one epoch; the last may hold fewer than `accumulate` batches."""
    return math.ceil(batches.num_batches / plan.accumulate)


def autocast(plan: Plan, device: torch.device) -> Callable[[], AbstractContextManager]:
    """bf16 for the products of the forward pass, or nothing; weights, deltas, gamma and head stay fp32."""
    if plan.precision == "fp32":
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


def lr_factor(step: int, num_steps: int, num_warmup: int) -> float:
    """Linear warm-up, then a half cosine to 0 over the steps that there really are; `step` counts from 0."""
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - num_warmup) / max(1, num_steps - num_warmup)))


def fit(
    plan: Plan,
    model: Adapted,
    batches: TrainBatches,
    loss: Loss,
    optimizers: list[torch.optim.Optimizer],
    outer: Outer | None,
    *,
    start: int,
    seed: int,
    device: torch.device,
) -> Iterator[Step]:
    """Train theta from step `start` to the end, and gamma with `outer`. `outer` None is the whole difference of a fixed gamma.

    Every random draw is a function of (seed, step), so a run that goes on at `start` equals one that never stopped.

    Raises:
        Diverged: if a training or outer loss is not finite; theta is then as before the step.
    """
    per_epoch = steps_per_epoch(plan, batches)
    num_steps, num_warmup = plan.epochs * per_epoch, round(plan.warmup_epochs * per_epoch)
    context = autocast(plan, device)
    base = [
        [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        for optimizer in optimizers
    ]
    owned = [
        value for optimizer in optimizers for group in optimizer.param_groups for value in group["params"]
    ]
    if outer is not None:
        refill(outer, batches, plan, start, device)
    stream = batches.iterate(_first_batch(start, per_epoch, batches.num_batches, plan.accumulate))
    last: Step | None = None
    for index in range(start, num_steps):
        torch.manual_seed(stream_seed(seed, "dropout", index))
        model.draw(generator(seed, "draw", index))
        factor = lr_factor(index, num_steps, num_warmup)
        _set_lr(optimizers, base, factor)
        group = [_to(batch, device) for batch in islice(stream, _batches_in(index, per_epoch, batches, plan))]
        value = _accumulate(model, group, loss, context)
        if not math.isfinite(value):
            raise Diverged(index + 1, value, last)
        if plan.clip_norm is not None:
            nn.utils.clip_grad_norm_(owned, plan.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        outer_step = None
        if outer is not None:
            outer.recent.append(group[-1])
            if outer.due(index + 1):
                outer_step = outer.step(index + 1)
                if not math.isfinite(outer_step.loss):
                    raise Diverged(index + 1, outer_step.loss, last)
        last = Step(index + 1, (index + 1) / per_epoch, value, base[0][0] * factor, outer_step)
        yield last


def refill(outer: Outer, batches: TrainBatches, plan: Plan, start: int, device: torch.device) -> None:
    """After a resume: the last training batches, which the unrolled estimator steps through again."""
    per_epoch = steps_per_epoch(plan, batches)
    for index in range(max(0, start - (outer.recent.maxlen or 0)), start):
        count = _batches_in(index, per_epoch, batches, plan)
        first = _first_batch(index, per_epoch, batches.num_batches, plan.accumulate)
        outer.recent.append(_to(next(batches.iterate(first + count - 1)), device))


def _accumulate(
    model: Adapted, group: list[Batch], loss: Loss, context: Callable[[], AbstractContextManager]
) -> float:
    """Backward through every batch; the gradient is that of the mean over all images of the group."""
    total = sum(len(batch.targets) for batch in group)
    value = 0.0
    for batch in group:
        with context():
            logits = model(batch.inputs["images"])
        part = loss(logits.float(), batch.targets) * (len(batch.targets) / total)
        part.backward()
        value += part.item()
    return value


def _first_batch(step: int, per_epoch: int, num_batches: int, accumulate: int) -> int:
    epoch, within = divmod(step, per_epoch)
    return epoch * num_batches + within * accumulate


def _batches_in(step: int, per_epoch: int, batches: TrainBatches, plan: Plan) -> int:
    within = step % per_epoch
    return min(plan.accumulate, batches.num_batches - within * plan.accumulate)


def _set_lr(optimizers: list[torch.optim.Optimizer], base: list[list[float]], factor: float) -> None:
    for optimizer, rates in zip(optimizers, base, strict=True):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"], group["initial_lr"] = rate * factor, rate


def _to(batch: Batch, device: torch.device) -> Batch:
    return batch.to(device)
