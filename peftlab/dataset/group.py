"""Head, medium and tail classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.rules import NAMES, check_groups, uses_thresholds
from peftlab.errors import UserError


def group_classes(
    groups: dict[str, Any], class_names: Sequence[str], counts: Int64[np.ndarray, " c"]
) -> dict[str, list[int]]:
    """Class ids of head, medium and tail: by training count, or by lists of class names or ids.

    With thresholds: head has more than `many_above` items, tail fewer than `few_below`, medium the rest.

    Raises:
        UserError: for other keys, overlapping thresholds, an unknown class, a class in no group or in two.
    """
    check_groups(groups)
    if uses_thresholds(groups):
        return _by_count(groups["many_above"], groups["few_below"], counts)
    return _by_list({key: value for key, value in groups.items() if value is not None}, class_names)


def _by_count(many_above: Any, few_below: Any, counts: Int64[np.ndarray, " c"]) -> dict[str, list[int]]:
    head, tail = counts > many_above, counts < few_below
    masks = {"head": head, "medium": ~head & ~tail, "tail": tail}
    return {name: [int(class_id) for class_id in np.flatnonzero(mask)] for name, mask in masks.items()}


def _by_list(groups: dict[str, Any], class_names: Sequence[str]) -> dict[str, list[int]]:
    ids = {name: [_class_id(entry, class_names, name) for entry in groups.get(name, [])] for name in NAMES}
    listed = [class_id for name in NAMES for class_id in ids[name]]
    for class_id in listed:
        if listed.count(class_id) > 1:
            raise UserError(f"dataset.groups lists the class {class_names[class_id]} twice; legal: once")
    missing = [name for class_id, name in enumerate(class_names) if class_id not in listed]
    if missing:
        raise UserError(
            f"dataset.groups leaves out {', '.join(missing[:10])}; legal: each class in one group"
        )
    return {name: sorted(ids[name]) for name in NAMES}


def _class_id(entry: Any, class_names: Sequence[str], group: str) -> int:
    """A name, or a position where no class is named by a number."""
    if isinstance(entry, str | int) and not isinstance(entry, bool) and str(entry) in class_names:
        return class_names.index(str(entry))
    numbers = any(name.isdecimal() for name in class_names)
    if (
        isinstance(entry, int)
        and not isinstance(entry, bool)
        and 0 <= entry < len(class_names)
        and not numbers
    ):
        return entry
    legal = f"{'' if numbers else f'0-{len(class_names) - 1} or '}{', '.join(class_names[:10])}{', ...' if len(class_names) > 10 else ''}"
    raise UserError(
        f"dataset.groups.{group} names the class {entry}, which the data set does not have; legal: {legal}"
    )
