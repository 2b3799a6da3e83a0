"""fit.prograd: a step keeps nothing that goes against what the frozen network knows."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Teacher = Callable[[dict[str, Tensor]], Float[Tensor, "b c"]]


class Prograd:
    """Of each trained tensor g <- g_d - lambda min(<g_d, u>, 0) u, u = g_g / |g_g|.

    g_d is the gradient of the loss, g_g that of KL(teacher || current), a mean over items, both over all that makes a step. The
    teacher says what the frozen network says; its temperature is 1.

    Source: Zhu et al. 2023, arXiv:2205.14865, eq. 5 and its code, which takes each tensor alone.
    """

    def __init__(self, strength: float | int, teacher: Teacher, owned: Sequence[nn.Parameter]) -> None:
        """`strength` is lambda; `owned` is what is trained."""
        self._strength, self._teacher, self.owned = strength, teacher, list(owned)
        # the same numbers; their gradients are g_g
        self.twins = [nn.Parameter(value.detach()) for value in owned]

    def loss(self, outputs: Float[Tensor, "b c"], inputs: dict[str, Tensor]) -> Float[Tensor, ""]:
        """KL up to a constant."""
        with torch.no_grad():
            known = self._teacher(inputs).float().softmax(-1)
        return F.cross_entropy(outputs, known)

    @torch.no_grad()
    def apply(self) -> None:
        """From g_d, at what is trained, to g; g_g is let go."""
        for value, twin in zip(self.owned, self.twins, strict=True):
            if value.grad is not None and twin.grad is not None:
                value.grad = projected(value.grad, twin.grad, self._strength)
            twin.grad = None


def projected(
    own: Float[Tensor, "*shape"], general: Float[Tensor, "*shape"], strength: float | int
) -> Float[Tensor, "*shape"]:
    """g_d, less `strength` times its part along g_g where that part goes against it; all of one tensor as one vector."""
    direction = F.normalize(general.flatten(), dim=0)
    against = (own.flatten() @ direction).clamp(max=0)
    return own - strength * against * direction.view_as(own)


def add_general(
    rules: Sequence[tuple[Prograd, Float[Tensor, "b c"]]], inputs: dict[str, Tensor], share: float
) -> None:
    """`share` times the gradient of KL, of each rule with the outputs of its cell for these inputs, is added to g_g.

    The graph is kept.
    """
    losses = [rule.loss(outputs, inputs) * share for rule, outputs in rules]
    owned = [value for rule, _ in rules for value in rule.owned]
    twins = [twin for rule, _ in rules for twin in rule.twins]
    grads = torch.autograd.grad(losses, owned, retain_graph=True, allow_unused=True)
    for twin, grad in zip(twins, grads, strict=True):
        if grad is not None:
            twin.grad = grad if twin.grad is None else twin.grad + grad
