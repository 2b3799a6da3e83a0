"""A run in a dozen scalars, by which lists and trackers filter, sort and group: one place that says what they are."""

import json
from collections.abc import Mapping
from typing import Any

from peftlab.backbone.choice import called

KEYS = (
    *("peft", "backbone", "dataset", "scaling", "depth", "position", "alpha", "rank", "seed", "task"),
    "num_parameters",
)


def summary(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The scalars KEYS of a composed config; `chosen` are the names typed or defaulted in its groups, as `peft: mam`.

    Whatever a run does not have is None: `rank` of an adapter, `depth` of placement=cells. `alpha` is `scaling.value` or,
    where that is null, the published scale of a method of one part. `num_parameters` is known when the run is built: it is
    what `num_trained` says. A config that is wrong in some place has None there: this refuses nothing.
    """
    node = {key: value if isinstance(value, Mapping) else {} for key, value in config.items()}
    peft, placement, scaling = (node.get(key, {}) for key in ("peft", "placement", "scaling"))
    backbone = chosen.get("backbone")
    alpha = scaling.get("value")
    found = {
        "peft": chosen.get("peft"),
        "backbone": called(node.get("backbone", {}))
        if backbone in (None, "timm", "hf", "open_clip", "hf_clip")
        else backbone,
        "dataset": node.get("dataset", {}).get("name") or chosen.get("dataset"),
        "scaling": chosen.get("scaling"),
        "depth": placement.get("depth"),
        "position": placement.get("position"),
        "alpha": peft.get("scale") if alpha is None else alpha,
        "rank": peft.get("rank"),
        "seed": config.get("seed"),
        "task": chosen.get("task"),
    }
    return {key: scalar(found.get(key)) for key in KEYS}


def num_trained(num_parameters: Mapping[str, int]) -> int:
    """Parameters that a run trains beside its head, of the counts by owner in result.json."""
    return sum(number for owner, number in num_parameters.items() if owner not in ("backbone", "head"))


def scalar(value: Any) -> str | int | float | bool | None:
    """A value as it is, or a list as it is typed: `[q,v]`."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return "[" + ",".join(str(scalar(item)) for item in value) + "]"
    return json.dumps(value, default=str)
