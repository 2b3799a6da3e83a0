"""placement=noah: the sub-network that an evolutionary search finds in a supernet, under a limit of parameters."""

from typing import Annotated

from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.option import Fraction, LearningRate, PositiveInt, Range, Width
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.supernet import supernet


def noah(
    ground: Ground,
    *,
    run: str | None,
    epochs: Annotated[int, Range(1, 100_000)] | None,
    lr: LearningRate | None,
    widths: list[Width],
    depths: list[Fraction],
    limit: Annotated[int, Range(1, 1_000_000_000_000)],
    population: PositiveInt,
    parents: PositiveInt,
    mutations: PositiveInt,
    crossovers: PositiveInt,
    generations: PositiveInt,
    p_width: Fraction,
    p_depth: Fraction,
) -> Placement:
    """All candidates, for they are what is searched: peftlab.search.stages puts what it finds in the place of this node.

    Source: Zhang et al. 2022 (NOAH), arXiv:2206.04673.

    Raises:
        UserError: for a `run` that is no supernet, or numbers that do not go together.
    """
    if mutations + crossovers > population:
        raise UserError(
            f"placement.mutations={mutations} and placement.crossovers={crossovers} are more than"
            f" placement.population={population}; legal: together at most as many"
        )
    if run is not None and not (expanded(run) / "adapter.safetensors").is_file():
        raise UserError(
            f"placement.run={run} is not a finished run; legal: the folder of one with placement=supernet, or null"
        )
    return supernet(ground, widths=widths, depths=depths)
