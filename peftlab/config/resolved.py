"""A config as everything below it sees it: frozen, typed, made once."""

from dataclasses import dataclass
from typing import Any, Literal

from peftlab.fit.plan import Plan
from peftlab.option import Choice, Seed
from peftlab.peft.part import Part
from peftlab.scaling.plan import OuterPlan


@dataclass(frozen=True)
class Root:
    """The keys that belong to no group.

    `seed` of all random streams; `device` to run on; `resume` false starts over; `baseline`: the cell that a sweep's
    report compares the others with, as `placement.depth=0-2,placement.position=q` (null: the first). `recipes` are
    settings by method that other keys of an experiment interpolate; `trust`: packages of one's own that a `_target_` may
    name beside this one."""

    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    resume: bool
    recipes: dict[str, Any] | None
    baseline: str | None
    trust: list[str]


@dataclass(frozen=True)
class Resolved:
    """One run. `budget` is in parameters; `tower` is where sites may be, of two; `outer` is there if gamma is meta-learned;
    `raw` is for the record alone."""

    root: Root
    backbone: Choice
    parts: tuple[Part, ...]
    placement: Choice
    budget: int | None
    tower: Literal["both", "image", "text"]
    scaling: Choice
    outer: OuterPlan | None
    dataset: Choice
    task: Choice
    head: Choice
    loss: Choice
    optim: Choice
    fit: Plan
    tracker: Choice
    raw: dict[str, Any]

    @property
    def seed(self) -> int:
        """Of all random streams."""
        return self.root.seed

    @property
    def is_supernet(self) -> bool:
        """Whether every training step works on a sub-network of all sites (placement=supernet)."""
        return self.placement.word == "supernet"

    def part(self, name: str) -> Part:
        """The part of this name."""
        return next(part for part in self.parts if part.name == name)
