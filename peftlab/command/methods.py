"""peftlab-methods: which method works on which backbone, and how many parameters it trains there at its defaults."""

from peftlab.command.parser import Parser
from peftlab.config.directory import names_of
from peftlab.errors import stop

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

TO_FILL_IN = ("timm", "hf", "open_clip", "hf_clip")  # which need a name


def main(argv: list[str] | None = None) -> int:
    """`peftlab-methods`: the table method x backbone; 0, or 2 for a wrong input."""
    legal = {group: names_of(group) for group in ("peft", "backbone")}
    parser = Parser(prog="peftlab-methods", description=__doc__)
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
        [name for name in legal["backbone"] if name not in TO_FILL_IN]
        if chosen.backbone == ["all"]
        else chosen.backbone
    )
    for group, names in (("peft", chosen.method), ("backbone", backbones)):
        listed = [name for name in legal[group] if name not in TO_FILL_IN]
        wrong = [name for name in names if name not in listed]
        if wrong:
            stop(f"peftlab-methods: {group}={wrong[0]} cannot be listed; legal: {', '.join(listed)}")
    print_table(chosen.method, backbones)
    return 0


def print_table(methods: list[str], backbones: list[str]) -> None:
    """Trained parameters beside the head, or a number that stands for the reason why not."""
    from rich.console import Console
    from rich.table import Table

    from peftlab.model.methods import table  # torch, for which a wrong name does not wait

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
