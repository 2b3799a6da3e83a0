"""The model of a finished run, from its folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.choice import paths
from peftlab.build.cell import build_cell
from peftlab.build.classes import with_classes
from peftlab.build.early import empty_head
from peftlab.build.start import Start
from peftlab.config.file import FILE, read_config
from peftlab.config.place import saved_places
from peftlab.config.resolve import resolve_again
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.model.model import Model
from peftlab.record.adapter import CARD, WEIGHTS, read_adapter
from peftlab.record.status import read_status
from peftlab.record.whole import WAY_OUT

# timm's trunc_normal_ is MKL's erfinv
RANDOM = "random weights differ in their last bits between kinds of processors; legal: one of the kind that trained it"


class Trained(NamedTuple):
    """A finished run, read from its folder."""

    resolved: Resolved
    card: dict[str, Any]
    backbone: Backbone
    model: Model


def load(folder: str | Path, class_names: list[str] | None = None, *, trust: Sequence[str] = ()) -> Model:
    """The model of a finished run, in eval mode on the CPU; its logits equal those at the end of the run.

    `class_names`, if given, must be the run's classes in the run's order. `trust` are packages of one's own that the run
    may name functions of; what its folder says of that counts for nothing.

    Raises:
        UserError: if a file is missing, or keys, classes or the backbone differ in any way.
    """
    return read_run(folder, class_names, trust=trust).model


def read_run(
    folder: str | Path, class_names: list[str] | None = None, *, trust: Sequence[str] = ()
) -> Trained:
    """The model of `load`, with what it was built from."""
    folder = Path(folder)
    resolved = read_resolved(folder, trust=trust)
    tensors, card = read_adapter(folder)
    _check_classes(folder, card["class_names"], class_names)
    backbone: Backbone = resolved.backbone(**_weights(folder, resolved))
    if backbone.hash != card["backbone_hash"]:
        options = resolved.backbone.options
        is_random = options.get("pretrained") is False and options.get("checkpoint") is None
        raise UserError(
            f"{folder} was trained on {card['backbone']} with hash {card['backbone_hash'][:12]}, not {backbone.hash[:12]}"
            + (f"; {RANDOM}" if is_random else "")
        )
    try:
        model = _model(resolved, backbone, tensors, card)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{folder}: {CARD}, {WEIGHTS} and {FILE} do not fit each other ({reason}); {WAY_OUT}"
        ) from error
    return Trained(resolved, card, backbone, model.eval())


def read_resolved(folder: Path, *, trust: Sequence[str] = ()) -> Resolved:
    """What the run in a folder was asked for; neither weights nor data are read.

    Raises:
        UserError: for a config that is missing, or not legal.
    """
    if not (folder / FILE).is_file():
        raise UserError(f"{folder} has no {FILE}; legal: the folder of a finished run")
    try:
        return resolve_again({**read_config(folder), "trust": list(trust)})
    except UserError as error:
        raise UserError(str(error) if str(folder) in str(error) else f"{folder / FILE}: {error}") from error


def _weights(folder: Path, resolved: Resolved) -> dict[str, str]:
    """Paths of the backbone as the run's folder knows them, if they were given relative to where the run started."""
    given = paths({"_target_": resolved.backbone.target, **resolved.backbone.options})
    found = {}
    for key in (key for key in ("checkpoint", "name") if key not in given or not given[key].exists()):
        try:
            path = read_status(folder)["identity"]["inputs"][f"backbone.{key}"]["path"]
        except (LookupError, TypeError):
            continue
        if Path(path).exists():
            found[key] = path
    return found


def _model(resolved: Resolved, backbone: Backbone, tensors: dict[str, Tensor], card: dict[str, Any]) -> Model:
    placed = saved_places(card["cells"])
    if "class_texts" in card:
        named = card["class_texts"]
        backbone = with_classes(resolved, backbone, named["words"], named["templates"])
    indices = {key[6:]: value for key, value in tensors.items() if key.startswith("index.")}
    head: Any = empty_head(resolved, backbone, len(card["class_names"]))
    items = tensors.get("head.keys")
    if items is not None:  # of as many training items as there were
        head.keep(items.new_zeros(len(items), items.shape[1] + 1))
    built = build_cell(resolved, backbone, placed, Start(head, indices=indices))
    model = Model(backbone, built.cell)
    model.network.check(built.cell)
    model.load_state(tensors)
    return model


def _check_classes(folder: Path, trained: list[str], given: list[str] | None) -> None:
    if given is None or list(given) == trained:
        return
    if len(given) != len(trained):
        raise UserError(f"{folder} was trained on {len(trained)} classes, not {len(given)}")
    index = next(index for index, pair in enumerate(zip(trained, given, strict=True)) if pair[0] != pair[1])
    raise UserError(
        f"{folder} was trained with {trained[index]} as class {index}, not {given[index]}; names and order must be the run's"
    )
