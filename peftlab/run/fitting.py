"""How many cells fit into memory: by what a forward of each really keeps for its backward."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass as is_wrapper

from peftlab.build.experiment import Experiment

SHARE = 0.8  # of the free memory is planned with: kernels want some for themselves
COPIES = 4  # of what is trained: itself, its gradient, and two moments of AdamW
_MEMINFO = Path("/proc/meminfo")


def num_together(experiments: Sequence[Experiment], free_bytes: int | None = None) -> int:
    """How many of these share a forward in training: on a GPU as many as fit, elsewhere 1 (a forward of one fills the cores).

    Raises:
        MemoryError: if what the cells train does not fit.
    """
    device = experiments[0].trunk.device
    free = free_on(device) if free_bytes is None else free_bytes
    trained = COPIES * sum(_bytes(experiment.cell.theta().values()) for experiment in experiments)
    if free is not None and trained > SHARE * free:
        raise MemoryError(
            f"what {len(experiments)} cells train takes {trained / 2**30:.1f} GiB with gradients and moments, and {free / 2**30:.1f} GiB"
            " are free; hydra.launcher.max_cells bounds the cells of a group"
        )
    if (free_bytes is None and device.type != "cuda") or free is None:
        return 1
    largest = max(kept_bytes(experiment) for experiment in experiments)
    return max(1, min(len(experiments), int((SHARE * free - trained) // max(1, largest))))


def kept_bytes(experiment: Experiment) -> int:
    """What one training forward of a cell keeps for its backward."""
    batch = next(experiment.learner.batches.iterate(0))
    inputs = {name: value.to(experiment.trunk.device) for name, value in batch.inputs.items()}
    kept: dict[tuple[int, int], int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if is_wrapper(tensor):  # a frozen weight in int8, which has no storage of its own
            return tensor
        storage = tensor.untyped_storage()
        kept[storage.data_ptr(), storage.nbytes()] = storage.nbytes()
        return tensor

    parameters = experiment.trunk.backbone.model.parameters()
    frozen = {value.untyped_storage().data_ptr() for value in parameters if not is_wrapper(value)}
    cell = experiment.cell
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = experiment.network.outputs([cell], inputs, [experiment.learner.now(0)])
    own = frozen | {value.untyped_storage().data_ptr() for value in cell.theta().values()}
    del outputs
    return sum(size for (place, _), size in kept.items() if place not in own)


def free_on(device: torch.device) -> int | None:
    """Free bytes of a GPU, those included that torch keeps for itself from earlier runs, or of this machine; None where not known."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def _bytes(values: Iterable[Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in values)
