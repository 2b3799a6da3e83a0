"""What every peft YAML says beside the options of its functional form."""

from dataclasses import dataclass
from typing import Literal

from peftlab.kinds import PositiveFloat


@dataclass(frozen=True)
class Part:
    """`positions` it can take, `insertion`, and the published `scale` (used where scaling.value is null).

    insertion, after He et al. 2022 (arXiv:2110.04366, table 1): `parallel` reads the input of the sub-module and adds to
    its output; `sequential` reads its output; `residual` reads the stream before the norm of the sub-layer;
    `in_place` selects weights of the backbone itself, so it has no delta, no scale and no gamma.
    """

    positions: list[str]
    insertion: Literal["parallel", "sequential", "residual", "in_place"]
    scale: PositiveFloat | None
