"""A run on base classes, read on the classes that it has not seen."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from peftlab.build.classes import with_classes
from peftlab.build.experiment import Experiment
from peftlab.dataset.split import Split
from peftlab.network.network import Network


def on_new_classes(experiment: Experiment) -> tuple[Experiment, Split] | None:
    """The same cell between images and the names of the new classes, and their test split, which is opened by this; None where
    there are none, or the outputs are no names.
    """
    data, task, resolved = experiment.trunk.dataset, experiment.task, experiment.resolved
    if data.open_new is None or task.named is None:
        return None
    new = data.open_new()
    own = replace(
        data,
        class_names=new.class_names,
        class_words=new.class_words,
        counts=np.zeros(len(new.class_names), dtype=np.int64),
        groups={},
        open_new=None,
    )
    other: Any = resolved.task(own, resolved.head, resolved.loss)
    backbone = with_classes(resolved, experiment.trunk.backbone, *other.named)
    cell = copy.copy(experiment.cell)
    cell._modules = {**cell._modules, "head": experiment.cell.head.over(len(new.class_names))}  # type: ignore[operator]
    trunk = replace(experiment.trunk, backbone=backbone, dataset=own)
    network = Network(backbone, checkpointing=resolved.fit.checkpointing)
    return replace(experiment, trunk=trunk, task=other, network=network, cell=cell), new.split
