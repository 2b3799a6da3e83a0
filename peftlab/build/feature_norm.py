"""How much more of what it reads a frozen matrix passes on than of random vectors."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone, Port
from peftlab.build.watch import watch
from peftlab.site import Site


def feature_norms(
    backbone: Backbone, matrices: Mapping[Site, Tensor], batches: Iterable[dict[str, Tensor]]
) -> dict[Site, float]:
    """E over tokens of sqrt(n) ||W z|| / (||W||_F ||z||), W `[m, n]` the matrix of a linear layer and z `[n]` what it reads.

    The bias does not enter. Padding and tokens that are zero do not count; without any token left, or of a W of zeros, it is nan.

    Raises:
        UserError: if a layer is never called.
    """
    readers: dict[Port, list[Site]] = {}
    for site in matrices:
        readers.setdefault(backbone.place(site).input, []).append(site)
    sums = {
        site: torch.zeros((), dtype=torch.float64, device=matrix.device) for site, matrix in matrices.items()
    }
    counts = dict.fromkeys(readers, 0)

    def add(port: Port, value: Tensor) -> None:
        norms = _norms(value)
        read, norms = value[norms > 0], norms[norms > 0]
        counts[port] += len(norms)
        for site in readers[port]:
            sums[site] += (_norms(read @ matrices[site].T) / norms).sum()

    watch(backbone, {port: sites[0] for port, sites in readers.items()}, batches, add)
    found = {}
    for site, matrix in matrices.items():
        whole = _norms(matrix.flatten()).item() * counts[backbone.place(site).input]
        found[site] = sums[site].item() * math.sqrt(matrix.shape[1]) / whole if whole else math.nan
    return found


def _norms(value: Tensor) -> Tensor:
    return torch.linalg.vector_norm(value, dim=-1, dtype=torch.float64)
