"""head.init=linear_probe: a head fitted on frozen features before any training."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

MAX_STEPS = 5000  # of L-BFGS
TOLERANCE = 1e-7  # of the largest entry of the gradient, where it stops
ENOUGH = 1e-4  # where rounding stops it before

Objective = Callable[[Float[Tensor, "n d"], Int64[Tensor, " n"]], Float[Tensor, ""]]


def fitted(
    head: nn.Module, objective: Objective, features: Float[Tensor, "n d"], labels: Int64[Tensor, " n"]
) -> Float[Tensor, "c p"]:
    """The parameters of the head at a minimum of its objective, in float64: row c are those of class c, in their order.

    Full batch, from where the head stands, by L-BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithm 7.5): no
    random number is drawn. The head itself is left in float64 at that minimum.

    Raises:
        ArithmeticError: if it is not reached.
    """
    head.double().requires_grad_()
    features, values = features.double(), list(head.parameters())
    lbfgs = torch.optim.LBFGS(
        values,
        max_iter=MAX_STEPS,
        max_eval=2 * MAX_STEPS,
        tolerance_grad=TOLERANCE,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        lbfgs.zero_grad()
        loss = objective(features, labels)
        loss.backward()
        return loss

    with torch.enable_grad():
        lbfgs.step(closure)
        closure()
    left = max(float(torch.as_tensor(value.grad).abs().max()) for value in values)
    if not left <= ENOUGH:
        raise ArithmeticError(
            f"head.init=linear_probe: after {MAX_STEPS} steps an entry of the gradient is still {left:.1e}; legal: class_mean, random"
        )
    return torch.column_stack([value.detach() for value in values])
