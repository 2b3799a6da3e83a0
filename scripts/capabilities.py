"""What each method can do, asked of the code on shapes without numbers: `python scripts/capabilities.py` rewrites docs/methods.md.

Every cell is an answer of the package: a count of parameters, or whether it refuses.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from peftlab.backbone.choice import shapes_of
from peftlab.backbone.timm.shapes import shapes
from peftlab.build.cell import build_cell, place_on
from peftlab.build.classes import example_classes
from peftlab.build.early import empty_head
from peftlab.build.start import Start
from peftlab.command.methods import BACKBONES
from peftlab.config.compose import composed
from peftlab.config.directory import names_of
from peftlab.config.resolve import choice, parts_of, resolve
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.export.merge import reasons as reasons_timm
from peftlab.export.to_peft import reasons as reasons_peft
from peftlab.model.load import Trained
from peftlab.model.methods import CLIPS, table
from peftlab.model.model import Model
from peftlab.site import OF_TWO_TOWERS

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
BEGIN, END = "<!-- made by scripts/capabilities.py -->", "<!-- end -->"
TEXT, PAIR = "minilm", "duo"  # need peftlab[text]
SCALINGS = ("fixed", "learned", "meta", "gated")
# a mask is chosen on images, of which there are none here: one entry stands for all
MASKED = {f"blocks_0_{name}_weight": torch.tensor([0]) for name in ("attn_proj", "mlp_fc2")}
Row = list[str]


def methods() -> list[str]:
    """Every choice of peft."""
    return names_of("peft")


def capabilities(names: list[str]) -> str:
    """Both tables of these methods and the reasons for what is refused, as Markdown."""
    scalings = {name: composed(f"scaling={name}")["scaling"] for name in SCALINGS}
    backbone = shapes(composed(f"backbone={BACKBONES[1]}")["backbone"])
    numbers = _Numbers()
    rows = []
    for name in names:
        config, own = (
            composed(f"peft={name}", f"backbone={BACKBONES[1]}", CLIPS, "head.init=random"),
            backbone,
        )
        if any({*part.positions} & {*OF_TWO_TOWERS} for part in parts_of(config["peft"])):
            config = composed(f"peft={name}", f"backbone={PAIR}", "task=contrast")
            own = example_classes(resolve(config), shapes_of(choice(config["backbone"])), 10)
        can = [_scales({**config, "scaling": node}, own) for node in scalings.values()]
        rows.append([f"`{name}`", *("yes" if one else "-" for one in can), *_leaves(config, own, numbers)])
    head = [
        "method",
        *SCALINGS,
        "starts as the frozen model",
        "folds into one timm model",
        "Hugging Face PEFT",
    ]
    counts = [
        [f"`{name}`", *(f"{one:,}" if isinstance(one, int) else numbers.of(one) for one in row)]
        for name, row in table(names, [*BACKBONES, TEXT, PAIR]).items()
    ]
    families = [_family(name) for name in (*BACKBONES, TEXT, PAIR)]
    parts = [_markdown(head, rows), _markdown(["method", *families], counts), numbers.listed()]
    return "\n\n".join(part for part in parts if part)


def page(text: str, names: list[str]) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{capabilities(names)}\n\n{END}{after}"


class _Numbers:
    """Reasons by number, each once."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def of(self, text: str) -> str:
        """Its number, in brackets."""
        if text not in self._texts:
            self._texts.append(text)
        return f"[{self._texts.index(text) + 1}]"

    def listed(self) -> str:
        """One line for each."""
        return "\n".join(f"- [{number}] {text}" for number, text in enumerate(self._texts, 1))


def _built(config: dict[str, Any], backbone: Any) -> tuple[Resolved, Model]:
    resolved = resolve(config)
    head = empty_head(resolved, backbone, 10)
    placed = place_on(resolved, backbone)
    cell = build_cell(resolved, backbone, placed, Start(head, indices=MASKED)).cell.to("meta")
    return resolved, Model(backbone, cell)


def _scales(config: dict[str, Any], backbone: Any) -> bool:
    try:
        _built(config, backbone)
    except UserError:
        return False
    return True


def _leaves(config: dict[str, Any], backbone: Any, numbers: _Numbers) -> Row:
    """Whether it starts at the identity, and whether it leaves the lab as one timm model and as an adapter of PEFT."""
    resolved, model = _built(config, backbone)
    trained = Trained(resolved, {}, backbone, model)
    state = {**model.backbone.state_dict(), **model.cell.selected.weights()}
    if backbone.towers:
        return [
            "yes" if model.cell.is_identity else "no",
            *[numbers.of("two towers: an export is of one network")] * 2,
        ]
    answers = []
    for found in (list(reasons_timm(trained, state)), list(reasons_peft(trained))):
        texts = list(dict.fromkeys(f"{reason.name}: {reason.text}" for reason in found))
        answers.append(" ".join(numbers.of(text) for text in texts) or "yes")
    return ["yes" if model.cell.is_identity else "no", *answers]


def _family(name: str) -> str:
    return name.split(".")[0].replace("_patch", " /").replace("_", " ")


def _markdown(head: Row, rows: list[Row]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(PAGE.read_text(), methods()))
