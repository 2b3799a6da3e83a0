"""placement=supernet: every site that the method can take, as wide as it can be; each training step works on a part of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftlab.errors import UserError
from peftlab.option import Fraction, PositiveInt
from peftlab.placement.cell import Cells
from peftlab.site import Site

ELASTIC = ("rank", "bottleneck", "num_tokens")  # the options of the deltas that can work at a smaller width


def supernet(candidates: Sequence[Site], *, widths: list[PositiveInt], depths: list[Fraction]) -> Cells:
    """All candidates. The sub-networks: for each part of the method a depth of `depths`, in each of its blocks one of `widths`.

    Raises:
        UserError: for no choice, a repeated one, or a depth of 0.
    """
    _check_choices(widths, depths)
    return {site: {} for site in candidates}


def check_supernet(cfg: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> None:
    """What placement=supernet and placement=noah ask of the rest of the config.

    Raises:
        UserError: for a part whose width is not the widest choice, a scale that depends on the width, or a budget.
    """
    node = cfg["placement"]
    word = str(node["_target_"]).rpartition(".")[2]
    if word not in ("supernet", "noah"):
        return
    _check_choices(node["widths"], node["depths"])
    for name, part in parts.items():
        option = next((key for key in ELASTIC if key in part), None)
        if option is None:
            raise UserError(
                f"placement={word} needs parts of elastic width ({', '.join(ELASTIC)}), and {name} has none; legal: peft=noah"
            )
        if part[option] != node["widths"][-1]:
            path = f"peft.parts.{name}" if "parts" in cfg["peft"] else "peft"
            raise UserError(
                f"placement.widths={node['widths']} ends at {node['widths'][-1]}, and {path}.{option}={part[option]}; legal: the"
                " same number"
            )
    if cfg["scaling"]["rule"] != "plain":
        raise UserError(
            f"scaling.rule={cfg['scaling']['rule']} depends on a width that placement={word} changes in every step; legal: plain"
        )
    if node.get("budget") is not None:
        raise UserError(
            f"placement.budget={node['budget']} cannot solve the widths of placement={word}; legal: null"
        )


def _check_choices(widths: Sequence[int], depths: Sequence[float]) -> None:
    for key, values in (("widths", list(widths)), ("depths", list(depths))):
        if not values or sorted(set(values)) != values or values[0] == 0:
            raise UserError(
                f"placement.{key}={values} is not legal; legal: at least one number, ascending, above 0"
            )
