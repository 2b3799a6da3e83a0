"""The keys of the config that belong to no group."""

from dataclasses import dataclass
from typing import Literal

from peftlab.kinds import NonNegativeInt


@dataclass(frozen=True)
class Root:
    """`seed` of all random streams; `device` to run on; `resume` false starts over; `baseline`: the cell that a sweep's
    report compares the others with, as `placement.depth=0-2,placement.position=q` (null: the first)."""

    seed: NonNegativeInt
    device: Literal["auto", "cpu", "cuda"]
    resume: bool
    baseline: str | None
