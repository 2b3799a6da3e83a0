"""peftlab-methods: which method works on which backbone, and how many parameters it trains there at its defaults."""

import argparse
import math
import sys
from collections.abc import Mapping
from typing import Any

from peftlab.config.directory import config_dir
from peftlab.errors import UserError

NUM_CLASSES = 10  # of the head, which is not counted but may lie inside a mask's budget
BACKBONES = (
    "vit_tiny_patch8_32",
    "vit_base_patch16_224.augreg_in21k",
    "vit_base_patch16_clip_224.openai",
    "vit_base_patch16_siglip_224.webli",
    "vit_base_patch14_dinov2.lvd142m",
    "eva02_base_patch14_224.mim_in22k",
    "beit_base_patch16_224.in22k_ft_in22k",
    "swin_tiny_patch4_window7_224.ms_in1k",
)


def main(argv: list[str] | None = None) -> int:
    """`peftlab-methods`: the table method x backbone; 0, or 2 for a wrong input."""
    legal = {
        group: sorted(file.stem for file in (config_dir() / group).glob("*.yaml"))
        for group in ("peft", "backbone")
    }
    parser = argparse.ArgumentParser(prog="peftlab-methods", description=__doc__)
    parser.add_argument("--method", nargs="+", default=legal["peft"], metavar="NAME", help="default: all")
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=list(BACKBONES),
        metavar="NAME",
        help="choices of the group backbone, or all; default: one of each family",
    )
    chosen = parser.parse_args(argv)
    backbones = (
        [name for name in legal["backbone"] if name != "timm"]
        if chosen.backbone == ["all"]
        else chosen.backbone
    )
    for group, names in (("peft", chosen.method), ("backbone", backbones)):
        wrong = [name for name in names if name not in legal[group]]
        if wrong:
            print(
                f"peftlab-methods: {group}={wrong[0]} is not a choice; legal: {', '.join(legal[group])}",
                file=sys.stderr,
            )
            return 2
    print_table(chosen.method, backbones)
    return 0


def print_table(methods: list[str], backbones: list[str]) -> None:
    """Trained parameters beside the head, or a number that stands for the reason why not."""
    from rich.console import Console
    from rich.table import Table

    answers = table(methods, backbones)
    reasons = list(
        dict.fromkeys(answer for row in answers.values() for answer in row if isinstance(answer, str))
    )
    grid = Table(
        title="parameters trained beside the head, at the defaults; \\[n] is refused, see below",
        title_justify="left",
    )
    grid.add_column("method", no_wrap=True)
    for name in backbones:
        grid.add_column(name, justify="right", overflow="fold")
    for method, row in answers.items():
        words = [
            f"\\[{reasons.index(answer) + 1}]" if isinstance(answer, str) else f"{answer:,}" for answer in row
        ]
        grid.add_row(method, *words)
    console = Console()
    console = Console(width=max(console.width, 26 + 15 * len(backbones)))
    console.print(grid)
    for number, reason in enumerate(reasons, 1):
        console.print(f"[{number}] {reason}", markup=False, highlight=False, soft_wrap=True)


def table(methods: list[str], backbones: list[str]) -> dict[str, list[int | str]]:
    """Method -> for every backbone the number of parameters, or the sentence that refuses it."""
    from peftlab.backbone.timm.shapes import shapes
    from peftlab.config.compose import composed
    from peftlab.config.resolve import resolve

    shown = [shapes(composed(f"backbone={name}")["backbone"]) for name in backbones]
    runs = {name: resolve(composed(f"peft={name}", "head.init=random")) for name in methods}
    return {name: [_answer(resolved, backbone) for backbone in shown] for name, resolved in runs.items()}


def _answer(resolved: Any, backbone: Any) -> int | str:
    from peftlab.build.cell import build_cell, place_on
    from peftlab.build.start import Start
    from peftlab.model.load import empty_head
    from peftlab.network.network import Network

    try:
        head = empty_head(resolved, backbone, NUM_CLASSES)
        placed = place_on(resolved, backbone)
        masks = [part for part in resolved.parts if part.is_mask]
        if masks:  # which entries, only images can say
            return _entries(masks[0].form.options, backbone, head)
        cell = build_cell(resolved, backbone, placed, Start(head)).cell.to("meta")  # where the backbone is
        Network(backbone).check(cell)
    except UserError as error:
        return str(error)
    return sum(number for name, number in cell.num_parameters().items() if name != "head")


def _entries(options: Mapping[str, Any], backbone: Any, head: Any) -> int:
    """The budget of a mask: whole heads or neurons may leave a little of it unused."""
    own = sum(value.numel() for value in head.parameters())
    return math.floor(options["keep_ratio"] * backbone.num_weights) - (own if options["count_head"] else 0)
