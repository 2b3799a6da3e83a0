"""From a composed config to the resolved one, with every rule that can be checked without torch, data or weights."""

from typing import Any

from peftlab.backbone.choice import check_choice, check_writes
from peftlab.backbone.quantise import check_trained
from peftlab.config.device import check_device
from peftlab.config.fit import check_fit
from peftlab.config.place import check_cells, place
from peftlab.config.pointed import check_pointed
from peftlab.config.resolved import Resolved, Root
from peftlab.config.schema import BUDGET, PART, TARGET, check_schema
from peftlab.config.signature import signature
from peftlab.config.tested import check_tested
from peftlab.dataset.reads import check_frames, check_reads, check_task
from peftlab.dataset.rules import check_dataset
from peftlab.errors import UserError
from peftlab.fit.plan import Plan
from peftlab.option import Choice
from peftlab.peft.part import Part
from peftlab.peft.rules import check_part, check_rule
from peftlab.placement.budget import parse_budget
from peftlab.placement.depth import block_labels, parse_depth
from peftlab.placement.rules import Widths, check_budget, check_no_sites, check_supernet
from peftlab.scaling.plan import OuterPlan
from peftlab.scaling.rules import check_gamma, check_unscaled
from peftlab.site import POSITIONS

REFUSED = "refused"  # the key of a config that could not be composed: why


def resolve(config: dict[str, Any]) -> Resolved:
    """`config` is the whole config as plain dicts, without interpolations.

    Raises:
        UserError: one sentence for the first key that is unknown, missing, of a wrong kind, or at odds with another.
    """
    resolved = resolve_again(config)
    check_pointed(config)
    check_device(resolved.root.device)
    _check(resolved)
    return resolved


def resolve_again(config: dict[str, Any]) -> Resolved:
    """The same for a config that has been a run's: a file that its placement was made from may be gone since.

    Raises:
        UserError: for a key that is unknown, missing or of a wrong kind.
    """
    if REFUSED in config:  # it could not be composed
        raise UserError(str(config[REFUSED]))
    check_schema(config)
    scaling = choice(config["scaling"])
    outer: OuterPlan | None = scaling.options["outer"]() if "outer" in scaling.options else None
    keys = {key: config[key] for key in signature("peftlab.config.resolved.Root").keys}
    plan: Plan = choice(config["fit"])()
    groups = ("backbone", "dataset", "task", "head", "loss", "optim", "tracker")
    return Resolved(
        root=Root(**keys),
        parts=parts_of(config["peft"]),
        placement=choice(config["placement"], BUDGET),
        budget=parse_budget(config["placement"]["budget"]),
        tower=config["placement"].get("tower") or "both",
        scaling=scaling,
        outer=outer,
        fit=plan,
        raw=config,
        **{group: choice(config[group]) for group in groups},
    )


def choice(node: dict[str, Any], aside: str | None = None) -> Choice:
    """A node with a `_target_`, and the nodes in it; the keys of the signature `aside` are not its own."""
    others = {TARGET, *(signature(aside).keys if aside else ())}
    options = {
        key: choice(value) if isinstance(value, dict) and TARGET in value else value
        for key, value in node.items()
        if key not in others
    }
    return Choice(str(node[TARGET]), options)


def parts_of(peft: dict[str, Any]) -> tuple[Part, ...]:
    """The parts of a peft node: its own, or the node itself as `peft`."""
    if "parts" in peft:
        return tuple(_part(name, f"peft.parts.{name}", node) for name, node in peft["parts"].items())
    return (_part("peft", "peft", peft),)


def _part(name: str, path: str, node: dict[str, Any]) -> Part:
    found = signature(node[TARGET])
    return Part(
        name=name,
        path=path,
        form=choice(node, PART),
        positions=tuple(node["positions"]),
        depth=node["depth"],
        insertion=node["insertion"],
        scale=node.get("scale"),
        traits=found.ancestors,
        width_key=found.constants.get("width_key"),
    )


def _check(resolved: Resolved) -> None:
    baseline = resolved.root.baseline
    if baseline is not None and "=" not in baseline:
        raise UserError(
            f"baseline={baseline} names no cell; legal: as placement.depth=0-2,placement.position=q, or null"
        )
    parts = resolved.parts
    _check_data(resolved)
    check_choice(resolved.backbone)
    if resolved.task.word == "generate":
        check_writes(resolved.backbone)
    for part in parts:
        check_part(part)
        check_trained(part.form.word, part.path, resolved.backbone.options)
        _check_classes(part, resolved)
    widths = {part.name: _widths(part) for part in parts}
    budget = resolved.raw["placement"]["budget"]  # as it was typed
    if budget is not None:
        check_budget(budget, widths)
    check_supernet(resolved.placement, budget, resolved.scaling.options["rule"], widths)
    check_rule(resolved.scaling.options["rule"], parts)
    if all(part.scale is None for part in parts):
        check_unscaled(resolved.scaling, parts[0].form.word, has_delta=not parts[0].is_selection)
    if any(part.positions for part in parts):
        depth = resolved.backbone.options["depth"]
        placed = place(resolved, block_labels(depth), POSITIONS, is_known=depth is not None)
        check_cells(placed, parts)
    else:
        parse_depth(
            parts[0].depth, block_labels(resolved.backbone.options["depth"]), key=f"{parts[0].path}.depth"
        )
        check_no_sites(resolved.placement, parts[0].form.word)
    check_fit(resolved)
    check_tested(resolved)
    check_gamma(resolved.scaling)


def _check_classes(part: Part, resolved: Resolved) -> None:
    """What a part makes of each class goes with the task and the data."""
    if part.form.options.get("class_specific") and resolved.dataset.options.get("classes") == "base":
        raise UserError(
            f"{part.path}.class_specific=true with dataset.classes=base, where new classes have no context of their own; legal: false"
        )
    if part.form.word == "mask_fisher" and resolved.task.word == "generate":
        raise UserError(
            "peft=mask_fisher scores weights by every class, and task=generate has as many as its vocabulary; legal: another"
            " mask, as mask_magnitude or mask_random"
        )


def _check_data(resolved: Resolved) -> None:
    data = resolved.dataset.options
    check_dataset(data, data["source"].word if "source" in data else "", resolved.fit.select)
    check_reads(resolved.dataset, resolved.backbone)
    temporal = (f"{part.path} ({part.form.word})" for part in resolved.parts if part.is_temporal)
    check_frames(resolved.dataset, next(temporal, None))
    check_task(resolved.dataset, resolved.task, resolved.head, resolved.loss)


def _widths(part: Part) -> Widths:
    key = part.width_key
    width = None if key is None else part.form.options[key]
    return Widths(part.path, part.form.word, key, width, "Elastic" in part.traits, part.is_selection)
