"""What sites do to the outputs together: how much of what one takes is no longer there for another."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from peftlab.backbone.plain import plain
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.site import Site

PARALLEL = 1e-4  # squared share of an effect that the chosen ones do not have; a smaller one is noise of fp32 and of STEP
STEP = 1e-3  # of the norm of the weights
MAX_LOGITS = 1_000_000
Piece = tuple[str, tuple[int, int]]  # a parameter of the backbone, and which part of its axis 0


def wanted_of(
    logits: Callable[[Batch], Tensor], loss: Loss, batches: Sequence[Batch]
) -> Float64[Tensor, " k"]:
    """-dL / dz of all logits z, L the mean loss over the items.

    Raises:
        UserError: if there are too many to keep them for each site.
    """
    total, found = sum(len(batch.targets) for batch in batches), []
    for batch in batches:
        with torch.no_grad():
            z = logits(batch).requires_grad_()
        if z.numel() * total > MAX_LOGITS * len(batch.targets):
            raise UserError(
                f"placement=layer_coupling keeps all logits of placement.num_samples={total} items for each site, and they are more than"
                f" {MAX_LOGITS:,}; legal: fewer items, or another rule"
            )
        with torch.enable_grad():
            (grad,) = torch.autograd.grad(loss(z, batch.targets), z)
        found.append(-grad.double() * len(batch.targets) / total)
    return torch.cat(found).flatten()


@torch.no_grad()
def effects(
    model: nn.Module,
    moves: Mapping[Site, Mapping[Piece, Tensor]],
    logits: Callable[[dict[str, Tensor], Batch], Tensor],
    batches: Sequence[Batch],
) -> dict[Site, Float64[Tensor, " k"]]:
    """What a move of weights at each site adds to the logits, for each unit of it and to first order: a difference quotient.

    `logits(weights, batch)` are those with other weights of these names.
    """

    def every(weights: dict[str, Tensor]) -> Tensor:
        return torch.cat([logits(weights, batch) for batch in batches]).double().flatten()

    before, found = every({}), {}
    for site, steps in moves.items():
        own = {name: plain(model.get_parameter(name)).detach().clone() for name, _ in steps}
        parts = [own[name].chunk(count)[index] for name, (index, count) in steps]
        norm = math.hypot(*(float(step.norm()) for step in steps.values()))
        size = STEP * math.hypot(*(float(part.norm()) for part in parts)) / (norm or 1.0)
        for part, step in zip(parts, steps.values(), strict=True):
            part += (size * step).to(part)
        found[site] = (every(own) - before) / size if size else torch.zeros_like(before)
    return found


def left_over(
    wanted: Float64[Tensor, " k"], effects: Mapping[Site, Float64[Tensor, " k"]]
) -> dict[Site, float]:
    """For each site the norm of what is still wanted of the outputs when it is taken, in the order in which sites are taken.

    The next site is the one whose effect, without what those before it have, takes most of what these leave (orthogonal matching
    pursuit). Sites of one effect are coupled wholly: the second takes nothing.
    """
    rest, waiting = wanted, dict(effects)
    size = {site: float(effect.square().sum()) for site, effect in effects.items()}
    found: dict[Site, float] = {}
    while waiting:
        gains = {
            site: _gain(rest, effect) if float(effect.square().sum()) > PARALLEL * size[site] else 0.0
            for site, effect in waiting.items()
        }
        best = max(gains, key=lambda site: gains[site])
        found[best] = float(rest.norm())
        effect = waiting.pop(best)
        if gains[best] > 0:
            axis = effect / effect.norm()
            rest = rest - (axis @ rest) * axis
            waiting = {site: other - (axis @ other) * axis for site, other in waiting.items()}
    return found


def _gain(rest: Float64[Tensor, " k"], effect: Float64[Tensor, " k"]) -> float:
    return float((rest @ effect).square() / effect.square().sum())
