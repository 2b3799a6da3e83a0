"""What several runs on one network say of the same items, in one pass: each batch goes through the blocks below them once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from peftlab.build.experiment import Experiment
from peftlab.dataset.image.views import mean_of, views_of
from peftlab.dataset.split import Split
from peftlab.fit.precision import autocast
from peftlab.task.task import Outputs

MAX_BYTES = 2**29  # of outputs that are kept until they are counted


def joint_outputs(
    experiments: Sequence[Experiment], splits: Sequence[Split], *, is_test: bool
) -> list[Outputs | None]:
    """The outputs of each run for the batches of its own split in their order, for one pass over them.

    None for a run whose split no other one has, or where the outputs of all would take too much memory: it computes its own
    as it counts them. Cells are in eval mode.
    """
    found: list[Outputs | None] = [None] * len(experiments)
    groups: dict[str, list[int]] = {}
    for place, (experiment, split) in enumerate(zip(experiments, splits, strict=True)):
        key = f"{split.index_hash()} {experiment.trunk.dataset.tested_transform.text}"
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        if len(places) > 1:
            joint = _joint([experiments[place] for place in places], splits[places[0]], is_test)
            for place, outputs in zip(places, joint, strict=True):
                found[place] = outputs
    return found


@torch.no_grad()
def _joint(experiments: Sequence[Experiment], split: Split, is_test: bool) -> list[Outputs | None]:
    first = experiments[0]
    network, device, context = (
        first.network,
        first.trunk.device,
        autocast(first.resolved.fit, first.trunk.device),
    )
    order = [place for places in network.groups([one.cell for one in experiments]) for place in places]
    each = [one.outputs(is_test=is_test) for one in experiments]
    kept: list[list[Tensor]] = [[] for _ in experiments]
    training = [one.cell.training for one in experiments]
    for one in experiments:
        one.cell.eval()
    for batch in first.trunk.batches(split):
        said: list[list[Tensor]] = [[] for _ in experiments]
        for inputs in views_of(batch.to(device).inputs):  # what all cells share of a view is computed once
            for place in order:
                with context():
                    said[place].append(each[place](inputs))
        for own, outputs in zip(kept, map(mean_of, said), strict=True):
            own.append(outputs)
        if len(experiments) * outputs[0].numel() * outputs.element_size() * len(split) > MAX_BYTES:
            break
    for one, mode in zip(experiments, training, strict=True):
        one.cell.train(mode)
    is_whole = len(kept[0]) == len(first.trunk.batches(split))
    return [_each(own) if is_whole else None for own in kept]


def _each(kept: list[Tensor]) -> Outputs:
    """One batch's after the other; what was counted is let go."""
    waiting = iter(kept)
    return lambda inputs: next(waiting)
