"""gamma: how strongly each site acts. It is in every forward: training, validation, test and export."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.errors import UserError
from peftlab.scaling.plan import OuterPlan
from peftlab.site import Site

Activation = Literal["softplus", "identity"]
Granularity = Literal["site", "block", "position", "global", "channel"]
Rule = Literal["plain", "over_rank", "over_sqrt_rank"]


@dataclass(frozen=True)
class Scaled:
    """What scaling has to know of a site: delta's width (rank, bottleneck), its outputs, its own factor, and for a gate
    the width of what it reads and whether delta is computed for each token apart."""

    site: Site
    width: int
    num_out: int
    scale: float
    num_read: int
    per_token: bool = True


@dataclass(frozen=True)
class Scaling:
    """A gamma and, where it is trained, who trains it: an optimizer of its own, or the outer loop. `gates` are by site."""

    gamma: "Gamma"
    gates: dict[Site, nn.Module] = field(default_factory=dict)
    optimizer: torch.optim.Optimizer | None = None
    outer: OuterPlan | None = None
    estimator: Callable[..., Any] | None = None


class Gamma(nn.Module):
    """scale(site) = multiplier(site) * phi(raw[group(site)]), group given by the granularity.

    multiplier(site) = value * scale(site) * rule(width): the fixed part, with rule = 1, 1/r or 1/sqrt(r). A fixed gamma is
    1 and has no parameter. phi is softplus, so that a learned gamma stays positive, or the identity.

    Source: Tian et al. 2025 (MetaPEFT), arXiv:2603.01759: y = f(x) + gamma delta(x), softplus, initial gamma 1; Hu et
    al. 2022 for alpha / r; Kalajdzievski 2023, arXiv:2312.03732, for alpha / sqrt(r).
    """

    multiplier: Float[Tensor, " s"]

    def __init__(
        self,
        places: Sequence[Scaled],
        *,
        value: float | int | None,
        rule: Rule,
        granularity: Granularity = "site",
        activation: Activation = "softplus",
        raw: float | None = None,
    ) -> None:
        super().__init__()
        self.sites = [place.site for place in places]
        self.granularity, self.activation = granularity, activation
        factors = [_multiplier(place, value, rule) for place in places]
        # where the scale is 1 for good, a site may leave the product out
        self.ones = {
            place.site for place, factor in zip(places, factors, strict=True) if raw is None and factor == 1
        }
        self.register_buffer("multiplier", torch.tensor(factors), persistent=False)
        names = [_group(place.site, granularity) for place in places]
        self.names = list(dict.fromkeys(names))
        self.sizes = [place.num_out for place in places] if granularity == "channel" else None
        index = torch.tensor([self.names.index(name) for name in names], dtype=torch.long)
        self.register_buffer("index", index, persistent=False)
        self.raw: nn.Parameter | None = None
        if raw is not None:
            size = sum(self.sizes) if self.sizes else len(self.names)
            self.raw = nn.Parameter(torch.full((size,), raw))

    def effective(self) -> Float[Tensor, " g"]:
        """phi(raw): one gamma per group (or per channel); ones if gamma is fixed."""
        if self.raw is None:
            return torch.ones(len(self.names), device=self.multiplier.device)
        return F.softplus(self.raw) if self.activation == "softplus" else self.raw

    def by_group(self, values: Tensor) -> dict[str, float]:
        """A number for each group: `values` has one a group or, for granularity channel, one a channel, whose mean it is."""
        values = values.detach()
        pieces = values.split(self.sizes) if self.sizes else values.unbind()
        return {name: float(piece.mean()) for name, piece in zip(self.names, pieces, strict=True)}

    def scales(self) -> dict[Site, Float[Tensor, "*d"]]:
        """What multiplies delta at each site: a scalar, or a vector over the outputs (granularity channel)."""
        if self.raw is None:
            values: Sequence[Tensor] = self.multiplier.unbind()
        elif self.sizes:
            parts = self.effective().split(self.sizes)
            values = [part * factor for part, factor in zip(parts, self.multiplier.unbind(), strict=True)]
        else:
            values = (self.effective()[self.get_buffer("index")] * self.multiplier).unbind()
        return dict(zip(self.sites, values, strict=True))


def initial_raw(init: float, *, init_raw: bool, activation: Activation) -> float:
    """The raw value whose effective gamma is `init`; with `init_raw`, `init` itself (softplus(1) = 1.3133).

    Raises:
        UserError: if no raw value gives this effective gamma.
    """
    if init_raw or activation == "identity":
        return init
    if init <= 0:
        raise UserError(f"scaling.init={init} cannot be reached by softplus; legal: a number above 0")
    return init + math.log(-math.expm1(-init))  # the inverse of softplus, stable for large values


def _multiplier(place: Scaled, value: float | int | None, rule: Rule) -> float:
    rules: dict[str, Callable[[int], float]] = {
        "plain": lambda width: 1.0,
        "over_rank": lambda width: 1.0 / width,
        "over_sqrt_rank": lambda width: 1.0 / math.sqrt(width),
    }
    return (1.0 if value is None else value) * place.scale * rules[rule](place.width)


def _group(site: Site, granularity: Granularity) -> str:
    names = {"block": str(site.block), "position": site.position, "global": "all"}
    return names.get(granularity, str(site))
