"""scaling=fixed: one constant, the same in training and test."""

from collections.abc import Sequence

from peftlab.option import NonNegativeFloat
from peftlab.scaling.gamma import Gamma, Rule, Scaled, Scaling


def fixed(places: Sequence[Scaled], *, value: NonNegativeFloat | None, rule: Rule) -> Scaling:
    """write <- write + value * rule(r) * delta(read); `value` null takes the method's published scale."""
    return Scaling(Gamma(places, value=value, rule=rule))
