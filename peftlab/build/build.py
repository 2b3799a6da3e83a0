"""From a config to everything that a run needs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.build.instantiate import make
from peftlab.build.measure import Measure
from peftlab.build.model import build_backbone, build_head, build_model, place
from peftlab.config.place import Placed
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.loader import EvalBatches, TrainBatches
from peftlab.dataset.outer_split import coverage, outer_split
from peftlab.errors import UserError
from peftlab.fit.fit import Plan, autocast, steps_per_epoch
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.network.adapted import Adapted
from peftlab.scaling.gamma import Scaling
from peftlab.scaling.outer import Outer
from peftlab.site import Site
from peftlab.stream import generator
from peftlab.tracker.tracker import Tracker

Positions = Int64[np.ndarray, " n"]
VAL_FRACTION = 0.1  # cut from train for fit.select=best where the dataset has no validation split


class Probe(NamedTuple):
    """A few training images, their labels, and their features in the frozen backbone before anything is attached."""

    images: Tensor
    labels: Tensor
    features: Tensor


@dataclass
class Experiment:
    """Everything that one run needs."""

    plan: Plan
    backbone: Backbone
    dataset: Dataset
    probe: Probe
    placed: Placed
    scores: dict[Site, float]  # what the placement found, by candidate; empty if it scores none
    model: Adapted
    scaling: Scaling
    batches: TrainBatches
    num_train: int
    loss: Loss
    optimizers: list[torch.optim.Optimizer]
    outer: Outer | None
    outer_coverage: dict[str, Any] | None
    device: torch.device


def build(config: dict[str, Any], masks: dict[str, Tensor] | None = None) -> Experiment:
    """All objects of a run, on its device. `masks` are those that an interrupted run had chosen, by weight.

    Raises:
        UserError: for weights or data that cannot be had, or a config that does not fit them.
    """
    device = _device(config["device"])
    seed, plan = config["seed"], make(config["fit"])
    backbone = build_backbone(config)
    dataset = _dataset(config, backbone, plan)
    backbone.model.to(device)
    means = _class_means(backbone, dataset, plan, device) if config["head"]["init"] == "class_mean" else None
    probe = _probe(backbone, dataset, device)
    head = build_head(config, backbone, len(dataset.class_names), means).to(device)
    loss = make(config["loss"])(_counts(dataset.train.labels, dataset, device))
    measure = _measure(backbone, head, loss, dataset, seed, device)
    placed = place(config, backbone, measure)
    model, scaling = build_model(config, backbone, head, placed, measure, masks)
    model.to(device)
    train, part = dataset.train, None
    if scaling.outer is not None:
        part = _outer_part(
            dataset,
            seed,
            **{key: scaling.outer.keywords[key] for key in ("fraction", "stratified", "hold_out")},
        )
        if scaling.outer.keywords["hold_out"]:
            train = train.subset(np.setdiff1d(np.arange(len(train)), part(draw=0)))
    batches = TrainBatches(
        train, dataset.train_transform, batch_size=plan.batch_size, seed=seed, num_workers=dataset.num_workers
    )
    loss = make(config["loss"])(_counts(train.labels, dataset, device))
    optimizers = [make(config["optim"])(list(model.theta().values()))]
    if scaling.optimizer is not None:
        optimizers.append(scaling.optimizer)
    outer = covered = None
    if scaling.outer is not None and part is not None:
        draw = partial(_draw, config, dataset, part, scaling.outer.keywords["batch_size"], device)
        outer = scaling.outer(model, draw, loss, autocast(plan, device), scaling.estimator)
        _some_outer_step(outer, plan.epochs * steps_per_epoch(plan, batches))
        covered = coverage(dataset.train.labels, part(draw=0), len(dataset.class_names))
    return Experiment(
        plan,
        backbone,
        dataset,
        probe,
        placed,
        measure.scores,
        model,
        scaling,
        batches,
        len(train),
        loss,
        optimizers,
        outer,
        covered,
        device,
    )


def _dataset(config: dict[str, Any], backbone: Backbone, plan: Plan) -> Dataset:
    node, seed = config["dataset"], config["seed"]
    dataset: Dataset = make(node)(backbone.input_spec, seed)
    if plan.select == "best" and dataset.val is None and node["val_fraction"] is None:
        dataset = make({**node, "val_fraction": VAL_FRACTION})(backbone.input_spec, seed)
    if plan.select == "best" and dataset.val is None:
        raise UserError(
            "fit.select=best needs images to select on; legal: dataset.val_fraction above 0 or null, or fit.select=last"
        )
    return dataset


def _class_means(
    backbone: Backbone, dataset: Dataset, plan: Plan, device: torch.device
) -> Float[Tensor, "c d"]:
    """The mean frozen feature of each class's training images, without augmentation."""
    total = torch.zeros(len(dataset.class_names), backbone.num_features, dtype=torch.float64)
    for batch in EvalBatches(
        dataset.train,
        dataset.eval_transform,
        batch_size=plan.eval_batch_size,
        num_workers=dataset.num_workers,
    ):
        with torch.no_grad():
            features = backbone.model(batch.inputs["images"].to(device)).double().cpu()
        total.index_add_(0, batch.targets, features)
    counts = torch.from_numpy(dataset.counts).double()
    empty = [dataset.class_names[index] for index in (counts == 0).nonzero().flatten().tolist()]
    if empty:
        raise UserError(
            f"head.init=class_mean needs an image of every class, and {empty[0]} has none; legal: random"
        )
    return (total / counts.unsqueeze(-1)).float()


def _measure(
    backbone: Backbone, head: torch.nn.Module, loss: Loss, dataset: Dataset, seed: int, device: torch.device
) -> Measure:
    order = torch.randperm(len(dataset.train), generator=generator(seed, "measure")).numpy()

    def batch(start: int, stop: int) -> Batch:
        part = dataset.train.subset(order[start:stop])
        found = EvalBatches(part, dataset.eval_transform, batch_size=len(part), num_workers=0).batch(0)
        return found.to(device)

    return Measure(backbone, head, loss, batch, len(order))


def _probe(backbone: Backbone, dataset: Dataset, device: torch.device) -> Probe:
    batch = EvalBatches(
        dataset.train.subset(np.arange(min(8, len(dataset.train)))),
        dataset.eval_transform,
        batch_size=8,
        num_workers=0,
    ).batch(0)
    images = batch.inputs["images"].to(device)
    with torch.no_grad():
        return Probe(images, batch.targets.to(device), backbone.model(images))


def _outer_part(
    dataset: Dataset, seed: int, *, fraction: float, stratified: bool, hold_out: bool
) -> Callable[..., Positions]:
    """Which training images the k-th outer split holds. Held out for good, it leaves a class its only image."""
    labels = dataset.train.labels

    def part(draw: int) -> Positions:
        positions = outer_split(labels, fraction=fraction, stratified=stratified, seed=seed, draw=draw)
        return positions[dataset.counts[labels[positions]] > 1] if hold_out else positions

    return part


def _some_outer_step(outer: Outer, num_steps: int) -> None:
    if not any(outer.due(step) for step in range(1, num_steps + 1)):
        raise UserError(
            f"scaling.outer.warmup={outer.warmup} and scaling.outer.every={outer.every} leave no outer step in the"
            f" {num_steps} steps of this run, so gamma would never be learned; legal: smaller ones, or more fit.epochs"
        )


def _draw(
    config: dict[str, Any],
    dataset: Dataset,
    part: Callable[..., Any],
    batch_size: int,
    device: torch.device,
    draw: int,
) -> tuple[Callable[[int], Batch], Loss]:
    """The batches of the `draw`-th outer split, and the loss with that split's class prior."""
    split = dataset.train.subset(part(draw=draw))
    batches = TrainBatches(
        split, dataset.train_transform, batch_size=batch_size, seed=config["seed"], stream=f"outer/{draw}"
    )

    def take(number: int) -> Batch:
        batch = batches.batch(number)
        return batch.to(device)

    return take, make(config["loss"])(_counts(split.labels, dataset, device))


def _counts(labels: Any, dataset: Dataset, device: torch.device) -> Tensor:
    return torch.bincount(torch.as_tensor(labels), minlength=len(dataset.class_names)).to(device)


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: this machine has no CUDA device that torch can use; legal: auto, cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def make_tracker(config: dict[str, Any]) -> Tracker:
    """Where scalars, tables and images are mirrored."""
    tracker: Tracker = make(config["tracker"])
    return tracker
