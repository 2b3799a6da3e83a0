"""What every peft YAML says beside the options of its functional form."""

from dataclasses import dataclass
from typing import Any, Literal

from peftlab.option import PositiveFloat

KEYS = ("positions", "depth", "insertion", "scale")
Insertion = Literal["parallel", "sequential", "residual", "input", "heads", "concat", "in_place"]


@dataclass(frozen=True)
class Part:
    """`positions` and `depth` it can take, `insertion`, and the published `scale` (used where scaling.value is null).

    insertion, after He et al. 2022 (arXiv:2110.04366, table 1): `parallel` reads the input of the sub-module and adds to
    its output; `sequential` reads its output; `residual` reads the stream before the norm of the sub-layer; `input`
    reads and adds to what a layer takes; `heads` acts on the output of the attention product; `concat` puts prompts
    among the tokens; `in_place` selects weights of the backbone itself, so it has no delta, no scale and no gamma. A
    part with a delta and `scale: null` stands outside scaling: its factor is 1, no gamma and no gate.
    """

    positions: list[str]
    depth: int | float | str | list[int | float | str]
    insertion: Insertion
    scale: PositiveFloat | None


@dataclass(frozen=True)
class Hybrid:
    """A sum of parts, each a whole peft node; `cuts` are numbers that its parts share by interpolation."""

    parts: dict[str, Any]
    cuts: dict[str, float]


def parts_of(peft: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of a peft node by name: its own, or the node itself as `peft`."""
    parts: dict[str, dict[str, Any]] = peft.get("parts", {"peft": peft})
    return parts


def part_path(peft: dict[str, Any], name: str) -> str:
    """How the command line says a part of a peft node: `peft`, or `peft.parts.NAME`."""
    return f"peft.parts.{name}" if "parts" in peft else "peft"
