"""scaling=learned: gamma trained on the training loss together with theta, the ablation of scaling=meta."""

from collections.abc import Sequence

from peftlab.inputs.eager import Adam
from peftlab.option import Finite, LearningRate, PositiveFloat
from peftlab.scaling.gamma import Activation, Gamma, Granularity, Rule, Scaled, Scaling, initial_raw


def learned(
    places: Sequence[Scaled],
    *,
    value: PositiveFloat | None,
    rule: Rule,
    init: Finite,
    init_raw: bool,
    activation: Activation,
    granularity: Granularity,
    lr: LearningRate,
) -> Scaling:
    """Both gradients come from one backward pass; gamma steps with an Adam of its own and no weight decay.

    Source: the learnable scale of He et al. 2022, arXiv:2110.04366, section 4.6.
    """
    raw = initial_raw(init, init_raw=init_raw, activation=activation)
    gamma = Gamma(places, value=value, rule=rule, granularity=granularity, activation=activation, raw=raw)
    return Scaling(gamma, optimizer=Adam(gamma.parameters(), lr=lr, weight_decay=0.0))
