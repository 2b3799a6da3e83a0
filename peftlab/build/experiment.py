"""From a resolved config to everything that a run needs."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.build.cell import Built, build_cell, place_on
from peftlab.build.classes import with_classes, with_templates
from peftlab.build.early import check_method
from peftlab.build.outer import OuterSplit, build_outer
from peftlab.build.scorer import Scorer
from peftlab.build.start import Start
from peftlab.build.teacher import prograd_of
from peftlab.build.trunk import Trunk, has_trunk, open_trunk
from peftlab.build.vectors import leaves_images, with_vectors
from peftlab.config.place import Placed
from peftlab.config.resolved import Resolved
from peftlab.dataset.batches import Draws, EvalBatches
from peftlab.dataset.split import Split
from peftlab.fit.average import Average
from peftlab.fit.learner import Learner
from peftlab.fit.parallel import ALONE, Ranks
from peftlab.fit.precision import autocast
from peftlab.fit.schedule import Schedule
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.network.cell import Cell
from peftlab.network.network import Network
from peftlab.peft.view import Widths
from peftlab.stream import generator
from peftlab.task.task import Batches, Forward, Outputs, Table, Task

Placing = Callable[[Resolved, Backbone, Scorer | None], Placed]


@dataclass(eq=False)
class Experiment:
    """One run: `trunk` and `network` can be shared with others, the rest is its own. `train` is what it is trained on."""

    resolved: Resolved
    trunk: Trunk
    task: Task
    placed: Placed
    network: Network
    cell: Cell
    learner: Learner
    train: Split
    outer_split: OuterSplit | None
    ranks: Ranks = ALONE

    @property
    def schedule(self) -> Schedule:
        """The steps of the run."""
        return Schedule(self.resolved.fit, self.learner.batches.num_batches)

    @property
    def train_hash(self) -> str:
        """Of the items that are trained on, and how they are transformed."""
        return f"{self.train.index_hash()} {self.trunk.dataset.train_transform.text}"

    def outputs(
        self,
        *,
        is_test: bool,
        widths: Widths | None = None,
        model: Any = None,
        split: Split | None = None,
    ) -> Outputs:
        """What the task computes of a batch with the cell; `widths` is the sub-network that works, by default all of it.

        A `model` has a network and a cell of its own on an equal backbone. With a `split` it is for one pass over its batches, and
        what other runs know of them is not computed again.
        """
        network, cell = (self.network, self.cell) if model is None else (model.network, model.cell)
        features, new_cache = network.reader(cell, widths or {})
        found = self.task.outputs(Forward(features, cell.head, new_cache, cell.context()), is_test=is_test)
        if split is None or not self.ranks.alone or not leaves_images(cell, self.trunk):
            return found
        return with_vectors(found, self.trunk, split, self.resolved.fit.precision)

    def evaluate(self, outputs: Outputs, batches: Batches) -> Any:
        """What the task counts of these outputs, in the precision of the run."""
        device = self.trunk.device
        return self.task.evaluate(
            self.ranks.whole(outputs), batches, device, autocast(self.resolved.fit, device)
        )

    def compare(
        self, outputs: Outputs, others: Outputs, batches: Batches
    ) -> tuple[Any, Any, dict[str, float]]:
        """What the task counts of two, and their difference, in the precision of the run."""
        device = self.trunk.device
        both = self.ranks.whole(outputs), self.ranks.whole(others)
        return self.task.compare(*both, batches, device, autocast(self.resolved.fit, device))

    def answers(self, counted: Any, split: Split) -> Table:
        """What was said of each item of a split, in its order, which is not that in which they were counted."""
        batches = self.trunk.batches(split)
        names, *rows = self.task.answers(counted, batches.split)
        return [names, *(rows[place] for place in np.argsort(batches.order))]

    def frozen(self, split: Split) -> Outputs | None:
        """The backbone without a site, below the head as it starts; None for a head that starts from no feature.

        For one pass over the batches of `split`: runs with the same data and the same head share the answers. One of several
        ranks computes its own rows of each batch, and remembers nothing: what one rank knows another may not.
        """
        if not self.task.has_start():
            return None
        head, resolved = _frozen_head(self.resolved, self.trunk, self.task), self.resolved
        values = b"".join(value.cpu().numpy().tobytes() for value in head.state_dict().values())
        how = (
            repr(resolved.task),
            repr(self.task.named),
            repr(resolved.head),
            hashlib.sha256(values).hexdigest(),
            resolved.fit.precision,
        )

        backbone, named = self.trunk.backbone, self.task.named
        if named is not None:  # not the texts that a method begins with
            backbone = with_templates(backbone, *named)

        def features(inputs: dict[str, Any], kept: dict[Any, Tensor] | None = None) -> Tensor:
            return backbone.features(inputs)

        outputs = self.task.outputs(Forward(features, head, backbone.new_cache), is_test=True)
        if not self.ranks.alone:
            return outputs
        told = with_vectors(outputs, self.trunk, split, resolved.fit.precision)
        return self.trunk.remembered(told, split, how)


def build(
    resolved: Resolved,
    masks: Mapping[str, Tensor] | None = None,
    network: Network | None = None,
    ranks: Ranks = ALONE,
    placing: Placing = place_on,
) -> Experiment:
    """All objects of a run, on its device. `masks` are those that an interrupted run had chosen, by weight; `network` is one on the
    same trunk, to be shared; `ranks` are the processes that train the cell together; `placing` says where its sites are.

    Raises:
        UserError: for weights or data that cannot be had, or a config that does not fit them.
    """
    if not has_trunk(resolved):
        check_method(resolved)
    opened = trunk = open_trunk(resolved)
    task: Task = resolved.task(trunk.dataset, resolved.head, resolved.loss)
    if task.named is not None:
        trunk = replace(trunk, backbone=with_classes(resolved, trunk.backbone, *task.named))
    start = _start(resolved, trunk, task, masks)
    placed = placing(resolved, trunk.backbone, start.scorer)
    built = build_cell(resolved, trunk.backbone, placed, start)
    cell = built.cell.to(trunk.device)
    if network is None:
        network = Network(trunk.backbone, checkpointing=resolved.fit.checkpointing)
    network.check(cell)
    plan, train = built.scaling.outer, trunk.dataset.train
    split = None if plan is None else OuterSplit(trunk.dataset, plan, resolved.seed)
    train = train if split is None else split.inner()
    learner = _learner(resolved, trunk, task, built, train)
    learner.ranks = ranks
    if resolved.fit.prograd is not None:
        frozen = opened.backbone, task, _frozen_head(resolved, trunk, task)
        learner.prograd = prograd_of(resolved.fit.prograd, *frozen, learner)
    experiment = Experiment(resolved, trunk, task, placed, network, cell, learner, train, split, ranks)
    if split is not None:
        split.check(experiment.schedule.num_steps)
        learner.outer = build_outer(resolved, network, built, learner, split, task)
        learner.outer.mean = ranks.mean
    return experiment


def _start(resolved: Resolved, trunk: Trunk, task: Task, masks: Mapping[str, Tensor] | None) -> Start:
    """The head at its start, and what can be measured with it."""
    head = _head(resolved, trunk, task)
    loss = task.loss(trunk.dataset.train.labels, trunk.device)
    return Start(head, _scorer(trunk, head, loss, resolved.seed), masks)


def _head(resolved: Resolved, trunk: Trunk, task: Task) -> torch.nn.Module:
    found = trunk.start(task) if task.wants_start() is not None else None
    return task.head(trunk.backbone, found, generator(resolved.seed, "head")).to(trunk.device)


def _frozen_head(resolved: Resolved, trunk: Trunk, task: Task) -> torch.nn.Module:
    return task.frozen_head(_head(resolved, trunk, task))


def _scorer(trunk: Trunk, head: torch.nn.Module, loss: Loss, seed: int) -> Scorer:
    data = trunk.dataset
    order = torch.randperm(len(data.train), generator=generator(seed, "measure")).numpy()

    def batch(start: int, stop: int) -> Batch:
        part = data.train.subset(order[start:stop])
        found = EvalBatches(part, data.eval_transform, batch_size=len(part), num_workers=0).batch(0)
        return found.to(trunk.device)

    return Scorer(trunk.backbone, head, loss, batch, len(order))


def _learner(resolved: Resolved, trunk: Trunk, task: Task, built: Built, train: Split) -> Learner:
    plan = resolved.fit
    batches = trunk.dataset.train_batches(
        train,
        batch_size=plan.batch_size,
        draws=Draws(resolved.seed, sampler=plan.sampler),
        num_workers=trunk.dataset.num_workers,
    )
    theta = built.cell.theta_by_kind()
    trained: list[Any] = [resolved.optim(theta)] if any(theta.values()) else []
    own = built.scaling.optimizer
    return Learner(
        cell=built.cell,
        loss=task.loss(train.labels, trunk.device),
        weight=task.weight,
        batches=batches,
        optimizers=trained if own is None else [*trained, own],
        outer=None,
        seed=resolved.seed,
        device=trunk.device,
        average=None if plan.ema is None else Average(plan.ema, built.cell.state()),
    )
