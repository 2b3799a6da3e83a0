"""From the folder of a finished run to an export, compared with the run on real images or texts before it is put in its place."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jaxtyping import Float
from torch import Tensor

from peftlab.backbone.backbone import Backbone, only_input
from peftlab.backbone.hf.exported import network_of, read_hf
from peftlab.backbone.timm.plain import plain_model
from peftlab.errors import UserError
from peftlab.export.card import card_of, readme
from peftlab.export.head import num_outputs, read_head, writes
from peftlab.export.images import real_images
from peftlab.export.in_front import is_in_front, read_in_front
from peftlab.export.publish import CARD, files_in, staged
from peftlab.export.to_adapter import to_adapter
from peftlab.export.to_hf import to_hf
from peftlab.export.to_peft import frozen_state, read_peft, to_peft
from peftlab.export.to_timm import read_timm, to_timm
from peftlab.model.load import Trained, read_run

TOLERANCE = 1e-3  # of the largest logit: a rounding error is far below, a wrong merge far above


class Outputs(NamedTuple):
    """Of one model on what is compared."""

    features: Float[Tensor, "b d"] | None
    logits: Float[Tensor, "b c"]


def export(
    folder: Path, to: str, out: Path, *, rank: int | None, images: str | None, trust: Sequence[str] = ()
) -> dict[str, Any]:
    """Write `out` and return its card. `trust` are packages of one's own that the run may name functions of.

    Raises:
        UserError: for what this format has no place for, or images that cannot be read.
        RuntimeError: if what was written does not give the run's logits; then nothing is left of it.
    """
    trained = read_run(folder, trust=trust)
    _check(trained.backbone, to)
    if rank is not None:
        _at(trained, rank)
    compared = real_images(trained, images)
    with staged(out) as stage, torch.no_grad():
        features = trained.model.features(**compared.inputs)
        wanted = Outputs(features, trained.model.head(features))
        more = _write(trained, folder, to, stage, rank)
        found = _outputs(trained, to, stage, compared.inputs)
        largest = wanted.logits.abs().max().item()
        difference = (found.logits - wanted.logits).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, largest):
            raise RuntimeError(
                f"the export's logits differ from the run's by {difference:.3g} (largest {largest:.3g})"
            )
        numbers: dict[str, Any] = {"largest_logit_difference": difference, "largest_logit": largest}
        if found.features is not None:
            numbers["largest_feature_difference"] = (found.features - features).abs().max().item()
        numbers |= {"num_images": len(next(iter(compared.inputs.values()))), "images": compared.source}
        (stage / "README.md").write_text(readme(trained, to))
        files = sorted([*files_in(stage), CARD])
        card = card_of(trained, to, rank, more, numbers, files)
        (stage / CARD).write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True))
    return card


def _check(backbone: Backbone, to: str) -> None:
    """A format has a place for networks of its kind."""
    if backbone.towers and to != "adapter":
        raise UserError(
            f"--to {to} is for one network, and {backbone.name} has two towers; legal: --to adapter"
        )
    if to == "timm":
        backbone.image_spec("--to timm")
    elif to == "hf":
        backbone.text_spec("--to hf")


def _at(trained: Trained, rank: int) -> None:
    width = trained.model.cell.nested_width
    if not width:
        raise UserError(f"--rank={rank} has nothing to act on: this run has no DyLoRA; legal: no --rank")
    if not 1 <= rank <= width:
        raise UserError(f"--rank={rank} is not a rank of this run; legal: 1 to {width}")
    trained.model.at(rank)


def _write(trained: Trained, folder: Path, to: str, stage: Path, rank: int | None) -> dict[str, Any]:
    if to == "adapter":
        return to_adapter(trained, stage, folder, rank)
    return {"timm": to_timm, "hf": to_hf, "peft": to_peft}[to](trained, stage)


def _outputs(trained: Trained, to: str, stage: Path, inputs: dict[str, Tensor]) -> Outputs:
    """What the written files give, read as another program would."""
    if to == "adapter":
        model = read_run(stage, trust=trained.resolved.root.trust).model
        features = model.features(**inputs)
        return Outputs(features, model.head(features))
    if trained.backbone.input_spec.noun == "texts":
        features = _features(trained, to, stage, inputs)
        return Outputs(features, read_head(trained, stage)(features))
    state = read_timm(stage) if to == "timm" else read_peft(trained, stage)
    plain = plain_model(trained.resolved.backbone.options, num_outputs(trained))
    plain.load_state_dict(state, strict=True)
    # of clips the mean over frames, of a linear head's outputs, too
    found = replace(trained.backbone, model=plain, read=only_input).features(inputs)
    if num_outputs(trained):
        return Outputs(None, found)
    return Outputs(found, read_head(trained, stage)(found))


def _features(trained: Trained, to: str, stage: Path, inputs: dict[str, Tensor]) -> Tensor:
    if to == "hf":
        return read_hf(stage).features(inputs)
    is_front = is_in_front(trained)
    state = frozen_state(trained) if is_front else read_peft(trained, stage)
    network = network_of(trained.backbone, state, writes(trained))
    return trained.backbone.read(read_in_front(trained, network, stage) if is_front else network, inputs)
