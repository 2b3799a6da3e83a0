"""scaling=meta: gamma learned on another part of the training data, by bi-level optimisation."""

from collections.abc import Callable, Sequence
from typing import Any

from peftlab.option import Finite, PositiveFloat
from peftlab.scaling.gamma import Activation, Gamma, Granularity, Rule, Scaled, Scaling, initial_raw
from peftlab.scaling.plan import OuterPlan


def meta(
    places: Sequence[Scaled],
    *,
    value: PositiveFloat | None,
    rule: Rule,
    init: Finite,
    init_raw: bool,
    activation: Activation,
    granularity: Granularity,
    outer: Callable[[], OuterPlan],
    estimator: Callable[..., Any],
) -> Scaling:
    """min_gamma L_outer(theta*(gamma), gamma), theta*(gamma) from inner steps on the training loss.

    `outer` gives the plan of peftlab.scaling.outer.Outer, the only owner of gamma's optimizer: inside an inner step
    gamma takes no gradient. `estimator` says how the hypergradient is computed.

    Source: Tian et al. 2025 (MetaPEFT), arXiv:2603.01759.
    """
    raw = initial_raw(init, init_raw=init_raw, activation=activation)
    gamma = Gamma(places, value=value, rule=rule, granularity=granularity, activation=activation, raw=raw)
    gamma.requires_grad_(False)
    return Scaling(gamma, outer=outer(), estimator=estimator)
