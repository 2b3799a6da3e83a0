"""adapter.safetensors + adapter.yaml: what was trained, and all that is needed to use it again."""

import os
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file

from peftlab.adapt.adapted import Adapted
from peftlab.errors import UserError
from peftlab.site import parse_site

WEIGHTS, CARD = "adapter.safetensors", "adapter.yaml"


def save_adapter(folder: Path, model: Adapted, card: dict[str, Any]) -> None:
    """Deltas, selected weights, gamma and head; `card` says which backbone and classes they belong to. Atomic."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.theta().items()}
    if model.gamma.raw is not None:
        tensors["gamma.raw"] = model.gamma.raw.detach().cpu().contiguous()
    part = folder / f"{WEIGHTS}.part"
    save_file(tensors, part)
    os.replace(part, folder / WEIGHTS)
    part = folder / f"{CARD}.part"
    part.write_text(yaml.safe_dump(card, sort_keys=False))
    os.replace(part, folder / CARD)


def load(folder: str | Path, class_names: list[str] | None = None) -> Adapted:
    """The model of a finished run, in eval mode on the CPU; its logits equal those at the end of the run.

    `class_names`, if given, must be the run's classes in the run's order.

    Raises:
        UserError: if a file is missing, or keys, classes or the backbone differ in any way.
    """
    from peftlab.build import build_backbone, build_model
    from peftlab.checkpoint import load_theta

    folder = Path(folder)
    for name in (WEIGHTS, CARD, "config.yaml"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; legal: the folder of a finished run")
    card = yaml.safe_load((folder / CARD).read_text())
    config = yaml.safe_load((folder / "config.yaml").read_text())
    _check_classes(folder, card["class_names"], class_names)
    backbone = build_backbone(config)
    if backbone.hash != card["backbone_hash"]:
        raise UserError(
            f"{folder} was trained on {card['backbone']} with hash {card['backbone_hash'][:12]}, not {backbone.hash[:12]}"
        )
    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error}); the file is damaged") from error
    gamma = tensors.pop("gamma.raw", None)
    cells = {parse_site(site): options for site, options in card["cells"].items()}
    model, _ = build_model(config, backbone, len(card["class_names"]), None, cells)
    load_theta(model, tensors, gamma)
    return model.eval()


def _check_classes(folder: Path, trained: list[str], given: list[str] | None) -> None:
    if given is None or list(given) == trained:
        return
    if len(given) != len(trained):
        raise UserError(f"{folder} was trained on {len(trained)} classes, not {len(given)}")
    index = next(index for index, pair in enumerate(zip(trained, given, strict=True)) if pair[0] != pair[1])
    raise UserError(
        f"{folder} was trained with {trained[index]} as class {index}, not {given[index]}; names and order must be the run's"
    )
