"""--to adapter: the same adapter with every gamma folded in, so that its scaling is fixed."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from peftlab.config.file import config_text
from peftlab.errors import UserError
from peftlab.export.refuse import Reason, refuse
from peftlab.model.load import Trained
from peftlab.network.anchor import site_key
from peftlab.peft.delta import Delta, Nested
from peftlab.peft.part import Part
from peftlab.record.adapter import CARD, WEIGHTS
from peftlab.site import parse_site

FIXED = {"_target_": "peftlab.scaling.fixed.fixed"}
# parameters in which a delta is linear, with its outputs on axis 0
LINEAR_IN = {
    "Lora": ("B",),
    "Pissa": ("B", "B0"),
    "Vera": ("b",),
    "DyLora": ("B.",),
    "Adapter": ("up", "up_bias"),
    "Ssf": ("s", "t"),
    "Ia3": ("l",),
}


def to_adapter(trained: Trained, folder: Path, source: Path, rank: int | None) -> dict[str, Any]:
    """adapter.safetensors, adapter.yaml and config.yaml, which `peftlab.load` reads.

    The scale of a site becomes its own option; a gamma per channel goes into the delta's last weights. A gate stays, since
    it depends on the input.

    Raises:
        UserError: for a gamma per channel of a delta that has no such weights, or a rank that is no option.
    """
    tensors = load_file(source / WEIGHTS)
    tensors.pop("gamma.raw", None)
    scales = {site: scale.detach() for site, scale in trained.model.gamma.scales().items()}
    channels = {site: scale for site, scale in scales.items() if scale.ndim}
    kinds = {site: type(trained.model.delta_at(site)).__name__ for site in trained.model.sites}
    text = "its gamma per channel has no weight to go to"
    refuse(
        "adapter",
        [Reason(kinds[site], site, text) for site in channels if kinds[site] not in LINEAR_IN],
        "granularity site, block, position or global",
    )
    for site, scale in channels.items():
        _fold(tensors, f"deltas.{site_key(site)}.", LINEAR_IN[kinds[site]], scale)
    config, card = deepcopy(trained.resolved.raw), deepcopy(trained.card)
    if scales:
        gated = bool(trained.model.cell.gates)
        config["scaling"] = {**(config["scaling"] if gated else FIXED), "value": 1.0, "rule": "plain"}
    for name, cells in card["cells"].items():
        for key, options in cells.items():
            site = parse_site(key)
            if site in scales:
                options["scale"] = 1.0 if site in channels else scales[site].item()
            if rank is not None and isinstance(trained.model.delta_at(site), Nested):
                options["eval_rank"] = _rank(rank, trained.model.delta_at(site), trained.resolved.part(name))
    save_file(tensors, folder / WEIGHTS)
    (folder / CARD).write_text(yaml.safe_dump(card, sort_keys=False))
    (folder / "config.yaml").write_text(config_text(config))
    return {"scales": {str(site): scale.mean().item() for site, scale in scales.items()}}


def _rank(rank: int, delta: Delta, part: Part) -> int:
    if "eval_rank" not in part.form.options:
        raise UserError(
            f"--rank={rank} is no option of {type(delta).__name__}; legal with it: --to timm, --to peft"
        )
    return min(rank, delta.width)


def _fold(tensors: dict[str, Tensor], prefix: str, names: tuple[str, ...], scale: Tensor) -> None:
    for key in [key for key in tensors if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if any(name == own or (own.endswith(".") and name.startswith(own)) for own in names):
            value = tensors[key]
            tensors[key] = value * scale.view(-1, *[1] * (value.ndim - 1))
