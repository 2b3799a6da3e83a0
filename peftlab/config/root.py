"""The keys of the config that belong to no group."""

from dataclasses import dataclass
from typing import Any, Literal

from peftlab.option import NonNegativeInt


@dataclass(frozen=True)
class Root:
    """`seed` of all random streams; `device` to run on; `resume` false starts over; `baseline`: the cell that a sweep's
    report compares the others with, as `placement.depth=0-2,placement.position=q` (null: the first). `recipes` are
    settings by method that other keys of an experiment interpolate."""

    seed: NonNegativeInt
    device: Literal["auto", "cpu", "cuda"]
    resume: bool
    recipes: dict[str, Any] | None
    baseline: str | None
