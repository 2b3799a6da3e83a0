"""The training loop: a flat generator of steps. Logging, evaluation and checkpoints belong to its consumer."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from peftlab.fit.compiled import CompiledStep
from peftlab.fit.learner import Learner, Loss, Now, OuterStep
from peftlab.fit.mix import mixed
from peftlab.fit.plan import Plan
from peftlab.fit.precision import Context, autocast
from peftlab.fit.prograd import add_general
from peftlab.fit.schedule import Schedule, base_rates, set_rates
from peftlab.inputs.batch import Batch


@runtime_checkable
class Network(Protocol):
    """A frozen network that several cells can share."""

    def outputs(
        self, cells: Sequence[Any], inputs: dict[str, Tensor], nows: Sequence[Now] | None = None
    ) -> list[Tensor]:
        """What each cell gives for the same inputs."""

    def groups(self, cells: Sequence[Any]) -> list[list[int]]:
        """Which of them share a forward."""


class Step(NamedTuple):
    """What happened to a learner in optimizer step `number` (1 is the first)."""

    number: int
    epoch: float
    loss: float
    lr: float
    outer: OuterStep | None


class Diverged(NamedTuple):
    """A loss that is not finite, in step `step`; theta is as it was before that step. `last` is the step before."""

    step: int
    value: float
    last: Step | None

    def __str__(self) -> str:
        return f"the loss became {self.value} in step {self.step}"


Round = dict[int, Step | Diverged]  # by the learner's place in the list


def fit(
    plan: Plan, network: Network, learners: Sequence[Learner], *, start: int, active: set[int] | None = None
) -> Iterator[Round]:
    """Train all learners from step `start` to the end of the plan or to its `stop_after`, those that share their batches in one forward.

    Each round has what happened to the learners that were still there. One that diverges leaves, and so does one that the
    consumer takes out of `active`; the others do not notice. Every random draw is a function of (seed, step), so a
    training that goes on at `start` equals one that never stopped.
    """
    active = set(range(len(learners))) if active is None else active
    streams = [_Stream(plan, network, learners, own, start) for own in _by_batches(learners)]
    for index in range(start, max(stream.schedule.end for stream in streams)):
        happened: Round = {}
        for stream in streams:
            if active & set(stream.members) and index < stream.schedule.end:
                happened |= stream.step(index, [place for place in stream.members if place in active])
        active -= {place for place, what in happened.items() if isinstance(what, Diverged)}
        yield happened
        if not active:
            return


def _by_batches(learners: Sequence[Learner]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for place, learner in enumerate(learners):
        groups.setdefault(id(learner.batches), []).append(place)
    return list(groups.values())


class _Stream:
    """The learners of one stream of batches."""

    def __init__(
        self, plan: Plan, network: Network, learners: Sequence[Learner], members: list[int], start: int
    ) -> None:
        first = learners[members[0]]
        self.plan, self.network, self.learners, self.members = plan, network, learners, members
        self.schedule = Schedule(plan, first.batches.num_batches)
        self.device = first.device
        self._context: Context = autocast(plan, first.device)
        self._base = {place: base_rates(learners[place].optimizers) for place in members}
        self._last: dict[int, Step | None] = dict.fromkeys(members)
        self._compiled = {
            id(learner): CompiledStep(network, learner, self._context, plan.batch_size)
            for learner in (learners[place] for place in members if plan.compile)
        }
        self._refill(start)
        # outer steps and mixing want whole batches; without them each rank reads no more than it computes
        self._is_whole = plan.mixes or any(learners[place].outer is not None for place in members)
        share = (0, 1) if self._is_whole else (first.ranks.rank, first.ranks.world)
        self._batches = first.batches.iterate(self.schedule.first_batch(start), share)

    def step(self, index: int, places: list[int]) -> Round:
        """One optimizer step of these learners."""
        learners = [self.learners[place] for place in places]
        factor = self.schedule.lr_factor(index)
        for place in places:
            set_rates(self.learners[place].optimizers, self._base[place], factor)
            self.learners[place].begin(index / self.schedule.num_steps)
        group = [batch.to(self.device) for batch in islice(self._batches, self.schedule.batches_in(index))]
        nows = [learner.now(index, learner.ranks.rank) for learner in learners]
        seen = group
        if self.plan.mixes:
            seen = [mixed(self.plan, batch, learners[0].seed, index, at) for at, batch in enumerate(group)]
        values = self._accumulate(learners, seen, nows)
        happened: Round = {}
        for place, value, now in zip(places, values, nows, strict=True):
            happened[place] = self._finish(place, index, value, now, group[-1])
        return happened

    def _accumulate(self, learners: list[Learner], group: list[Batch], nows: list[Now]) -> list[float]:
        """Backward through every batch; the gradient of a learner is that of the mean over all items of the group."""
        weight, ranks = learners[0].weight, learners[0].ranks
        group = [ranks.share(batch) for batch in group] if self._is_whole else group
        total = ranks.sum(sum(weight(batch) for batch in group))
        groups = self.network.groups([learner.cell for learner in learners])
        groups = [[place] for group in groups for place in group] if self._compiled else groups
        values = [0.0] * len(learners)
        for batch in group:
            for places in groups if len(batch.rows) else ():  # a rank may have no row of a small batch
                joint = [learners[place] for place in places]
                parts = self._backward(joint, [nows[place] for place in places], batch, weight(batch) / total)
                for place, part in zip(places, parts, strict=True):
                    values[place] += part
        return ranks.add([value for learner in learners for value in learner.with_grads()], values)

    def _backward(self, joint: list[Learner], nows: list[Now], batch: Batch, share: float) -> list[float]:
        """One forward and backward of these learners; their losses, each times `share`."""
        compiled = self._compiled.get(id(joint[0]))
        if compiled is not None and compiled.takes(batch):
            return [compiled(batch, nows[0], share)]
        with self._context():
            found = self.network.outputs([learner.cell for learner in joint], batch.inputs, nows)
        outputs = [output.float() for output in found]
        parts = [
            _loss(learner.loss, output, batch) * share for learner, output in zip(joint, outputs, strict=True)
        ]
        values = [part.item() for part in parts]
        finite = [at for at, value in enumerate(values) if math.isfinite(value)]
        rules = [(rule, outputs[at]) for at in finite if (rule := joint[at].prograd) is not None]
        if rules:
            with self._context():
                add_general(rules, batch.inputs, share)
        if finite:
            sum((parts[at] for at in finite[1:]), start=parts[finite[0]]).backward()
        return values

    def _finish(self, place: int, index: int, value: float, now: Now, batch: Batch) -> Step | Diverged:
        """The optimizers' step of one learner, and gamma's if it is due."""
        learner, last = self.learners[place], self._last[place]
        if not math.isfinite(value):
            return Diverged(index + 1, value, last)
        if learner.prograd is not None:
            learner.prograd.apply()
        if self.plan.clip_norm is not None:
            nn.utils.clip_grad_norm_(learner.owned(), self.plan.clip_norm)
        for optimizer in learner.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        outer_step = None
        if learner.outer is not None:
            learner.outer.recent.append(batch)
            if learner.outer.due(index + 1):
                # all ranks take the same outer step, on whole batches
                outer_step = learner.outer.step(index + 1, now if learner.ranks.alone else learner.now(index))
                if not math.isfinite(outer_step.loss):
                    return Diverged(index + 1, outer_step.loss, last)
        learner.averaged()
        lr = float(learner.optimizers[0].param_groups[0]["lr"])
        step = Step(index + 1, (index + 1) / self.schedule.per_epoch, value, lr, outer_step)
        self._last[place] = step
        return step

    def _refill(self, start: int) -> None:
        """After a resume: the last training batches, which the unrolled estimator steps through again."""
        outers = [outer for place in self.members if (outer := self.learners[place].outer) is not None]
        depth = max((outer.recent.maxlen or 0 for outer in outers), default=0)
        for index in range(max(0, start - depth), start):
            last = self.schedule.first_batch(index) + self.schedule.batches_in(index) - 1
            batch = next(self.learners[self.members[0]].batches.iterate(last)).to(self.device)
            for outer in outers:
                outer.recent.append(batch)


def _loss(loss: Loss, outputs: Tensor, batch: Batch) -> Tensor:
    own = loss(outputs, batch.targets)
    if batch.mixed is None:
        return own
    return batch.mixed.share * own + (1 - batch.mixed.share) * loss(outputs, batch.mixed.targets)
