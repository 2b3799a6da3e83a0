"""What a run will cost, without its data and weights: parameters from shapes, time and memory from a few steps on random inputs."""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.choice import library, random_of, shapes_of
from peftlab.build.cell import build_cell, place_on
from peftlab.build.classes import example_classes
from peftlab.build.early import NUM_CLASSES, cell_of_shapes, empty_head
from peftlab.build.outer import OuterSplit
from peftlab.build.start import Start
from peftlab.build.trunk import open_dataset
from peftlab.config.place import place
from peftlab.config.resolved import Resolved
from peftlab.config.summary import num_trained
from peftlab.dataset.batches import Draws, Positions
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.reads import given_by
from peftlab.dataset.rules import FROM_HUB
from peftlab.dataset.source.where import place_of
from peftlab.errors import UserError
from peftlab.fit.precision import autocast
from peftlab.inputs.clip import CLIPS, IMAGES
from peftlab.network.network import Network

STEPS = 3  # that are measured, after one that is not


def is_known(resolved: Resolved) -> bool:
    """Whether shapes say it all: not of one's own backbone, nor where images choose sites or weights."""
    if library(resolved.backbone.target) is None or any(part.is_mask for part in resolved.parts):
        return False
    found = shapes_of(resolved.backbone)
    return not place(resolved, found.labels, found.positions, is_known=False, places=found.places).is_open


def trained(resolved: Resolved) -> int | None:
    """Parameters that a run trains beside its head; None where only images can say it.

    Raises:
        UserError: if the method cannot work on the backbone.
    """
    if not is_known(resolved):
        return None
    cell = cell_of_shapes(resolved, shapes_of(resolved.backbone))
    return None if cell is None else num_trained(cell.num_parameters())


def measured(resolved: Resolved, device: torch.device) -> float | None:
    """Seconds of a step (`accumulate` forwards of `batch_size` items and back, and the optimizer): the median of a few, with random
    weights, a head for NUM_CLASSES, and random images, clips of as many frames as the data's, or texts as long as a batch of the
    data is on average. A first step, which counts for memory alone, has texts as long as the longest. Of data that are not on
    this machine texts have EXAMPLE_TOKENS. None where that is no answer.
    """
    if not is_known(resolved):
        return None
    backbone = example_classes(resolved, random_of(resolved.backbone), NUM_CLASSES)
    backbone.model.to(device)
    head = empty_head(resolved, backbone, NUM_CLASSES)
    cell = build_cell(resolved, backbone, place_on(resolved, backbone), Start(head)).cell.to(device)
    if not cell.theta():  # zero-shot
        return 0.0
    network, times = Network(backbone, checkpointing=resolved.fit.checkpointing), list[float]()
    optimizer: Any = resolved.optim(cell.theta_by_kind())
    first, others = (
        {name: value.to(device) for name, value in inputs.items()} for inputs in _inputs(resolved, backbone)
    )
    precision = autocast(resolved.fit, device)
    for inputs in (first, *[others] * STEPS):
        began = time.perf_counter()
        for _ in range(resolved.fit.accumulate):
            with precision():
                (output,) = network.outputs([cell], inputs)
            _loss(output).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return median(times[1:])


def num_train(resolved: Resolved) -> int | None:
    """Items of the inner steps, of which only the labels are read; None for data that are not on this machine, or are read by one's
    own code."""
    data, plan = _dataset(resolved), resolved.outer
    if data is None:
        return None
    return len(data.train if plan is None else OuterSplit(data, plan, resolved.seed).inner())


def _dataset(resolved: Resolved) -> Dataset | None:
    """None for data that are not on this machine, or are read by one's own code."""
    source: Any = resolved.dataset.options.get("source")
    if library(resolved.backbone.target) is None or source is None:
        return None
    try:
        if source.word in FROM_HUB:
            path, own = resolved.dataset.options["path"], source.options
            if place_of(path, own["hub_id"], own["folder"]).folder is None:
                return None
        return open_dataset(resolved, shapes_of(resolved.backbone))
    except UserError:  # the run will say it
        return None


def _inputs(resolved: Resolved, backbone: Backbone) -> Iterator[dict[str, Tensor]]:
    """A batch whose texts are as long as the longest of an epoch, and one whose texts are as long as a batch's are on average. Of
    pictures and of clips both are the same."""
    given, size = backbone.input_spec.example(), resolved.fit.batch_size
    if given_by(resolved.dataset) == "clips":
        frames = resolved.dataset.options["frames"]
        given = {CLIPS: given[IMAGES][:, None].expand(-1, frames, *[-1] * 3)}
    data = _dataset(resolved) if given_by(resolved.dataset) == "texts" else None
    widths = None if data is None else _widths(data, size)
    for num_tokens in (None, None) if widths is None else (int(widths.max()), round(float(widths.mean()))):
        yield {name: _batch(value, size, num_tokens) for name, value in given.items()}


def _widths(data: Dataset, size: int) -> Positions | None:
    return data.train_batches(data.train, batch_size=size, draws=Draws(0)).widths()


def _batch(example: Tensor, size: int, num_tokens: int | None) -> Tensor:
    """Random pictures; or one text (of tokens, which are whole numbers) so many times."""
    if example.is_floating_point():
        return torch.rand(size, *example.shape[1:])
    return example[:, :1].expand(size, num_tokens or example.shape[1]).clone()


def _loss(output: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(
        output.float(), torch.zeros(len(output), dtype=torch.long, device=output.device)
    )
