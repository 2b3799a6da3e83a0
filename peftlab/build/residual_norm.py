"""How much of what the loss wants of a frozen linear layer a linear map of its input can give."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from peftlab.backbone.backbone import Backbone, Port
from peftlab.build.watch import watch
from peftlab.site import Site

SMALLEST = 1e-6  # of the largest eigenvalue: below it a direction is noise of fp32, or one that no token has


def second_moments(
    backbone: Backbone, layers: Sequence[Site], batches: Iterable[dict[str, Tensor]]
) -> dict[Site, Float64[Tensor, "n n"]]:
    """E over tokens of x x^T, x `[n]` what a linear layer reads; padding does not count. Layers that read the same share it.

    Raises:
        UserError: if a layer is never called.
    """
    ports = {backbone.place(layer).input: layer for layer in layers}
    sums: dict[Port, tuple[Tensor, int]] = {}

    def add(port: Port, value: Tensor) -> None:
        x = value.flatten(0, -2).double()
        total, number = sums.get(port, (x.new_zeros(x.shape[-1], x.shape[-1]), 0))
        sums[port] = (total + x.T @ x, number + len(x))

    watch(backbone, ports, batches, add)
    means = {port: total / max(1, number) for port, (total, number) in sums.items()}
    return {layer: means[backbone.place(layer).input] for layer in layers}


def residual_norm(gradient: Float[Tensor, "m n"], moment: Float64[Tensor, "n n"]) -> float:
    """||G S^(-1/2)||, G = dL / dW the gradient of the mean loss and S = E[x x^T], over the eigenvectors of S that tokens have.

    With r = -dL / dy for each token (times their number), it is the root of E|r|^2 less the least E|r - A x|^2 of all matrices A.
    """
    values, vectors = _there(moment)
    along = gradient.to(moment) @ vectors
    return float((along.square() / values).sum().sqrt())


def least_squares(gradient: Float[Tensor, "m n"], moment: Float64[Tensor, "n n"]) -> Float64[Tensor, "m n"]:
    """A = -G S^+, which gives the most of what the loss wants: the least E|r - A x|^2, with the letters of `residual_norm`."""
    values, vectors = _there(moment)
    return -(gradient.to(moment) @ vectors / values) @ vectors.T


def _there(moment: Float64[Tensor, "n n"]) -> tuple[Float64[Tensor, " k"], Float64[Tensor, "n k"]]:
    """The eigenvalues and eigenvectors that tokens have."""
    values, vectors = torch.linalg.eigh(moment)
    kept = values > SMALLEST * values[-1].clamp_min(torch.finfo(values.dtype).tiny)
    return values[kept], vectors[:, kept]
