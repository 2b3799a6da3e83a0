"""Gradients of values: fresh leaves in, one tensor per input out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from peftlab.scaling.estimator.estimate import Values


def leaves(values: Values) -> Values:
    """The same numbers as new leaves of the graph: nothing flows back into the caller's tensors."""
    return {name: value.detach().requires_grad_() for name, value in values.items()}


def gradient(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor] | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> list[Tensor]:
    """sum_i weights_i^T d outputs_i / d inputs (weights 1 by default); zeros for an input nobody uses.

    `torch.autograd.grad` refuses an output without a graph (a loss that ignores gamma, the gradient of a loss
    linear in theta); its derivative is 0, so such an output is left out.
    """
    kept = [i for i, output in enumerate(outputs) if output.requires_grad]
    if not kept or not inputs:
        return [torch.zeros_like(value) for value in inputs]
    grads = torch.autograd.grad(
        [outputs[i] for i in kept],
        list(inputs),
        None if weights is None else [weights[i] for i in kept],
        create_graph=create_graph,
        retain_graph=retain_graph or create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return list(grads)
