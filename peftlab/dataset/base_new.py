"""Base and new classes: a half of the classes that is trained on, and the other half, which is only read at the test."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from peftlab.dataset.group import group_classes
from peftlab.dataset.rules import uses_thresholds
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError

Classes = Literal["all", "base", "new"]


@dataclass(frozen=True, eq=False)
class NewClasses:
    """The classes that a run on base classes did not see, and the test split of them, with labels from 0."""

    class_names: list[str]
    class_words: list[str]
    split: Split


def class_range(classes: Classes, num_classes: int) -> range:
    """The ids of the chosen classes: the first half in label order, the larger one where there is an odd number, or the rest.

    Source: Zhou et al. 2022, arXiv:2203.05557, section 4.1.
    """
    half = (num_classes + 1) // 2
    return {"all": range(num_classes), "base": range(half), "new": range(half, num_classes)}[classes]


def of_classes(source: Source, classes: Classes) -> Source:
    """The same data with the chosen classes alone, and labels from 0.

    `test_contents` stay those of all classes: which item is of which class is a label.

    Raises:
        UserError: where base or new would be less than two classes.
    """
    if classes == "all":
        return source
    number = len(source.class_names)
    for half in ("base", "new"):
        if len(class_range(half, number)) < 2:
            raise UserError(
                f"dataset.classes={classes} of {number} classes leaves {len(class_range(half, number))} {half}, so there is"
                " nothing to tell apart; legal: all, or data of four classes or more"
            )
    ids = class_range(classes, number)
    return replace(
        source,
        class_names=source.class_names[ids.start : ids.stop],
        own_words=source.class_words[ids.start : ids.stop],
        train=_split(source.train, ids),
        val=None if source.val is None else _split(source.val, ids),
        open_test=partial(_opened, source.open_test, ids),
    )


def groups_of(groups: dict[str, Any], class_names: list[str], classes: Classes) -> dict[str, Any]:
    """The keys of dataset.groups for the chosen classes of `class_names`: lists without the classes that are left out.

    Raises:
        UserError: as `group_classes`, for lists that do not fit all classes.
    """
    if classes == "all" or uses_thresholds(groups):
        return groups
    ids = class_range(classes, len(class_names))
    return {
        name: [class_names[class_id] for class_id in members if class_id in ids]
        for name, members in group_classes(groups, class_names, np.zeros(0, dtype=np.int64)).items()
    }


def open_new(source: Source) -> NewClasses:
    """Opens the test split of `source`, which has all classes, for the new ones."""
    new = of_classes(source, "new")
    return NewClasses(new.class_names, new.class_words, new.open_test())


def _opened(open_test: Callable[[], Split], ids: range) -> Split:
    return _split(open_test(), ids)


def _split(split: Split, ids: range) -> Split:
    chosen = (split.labels >= ids.start) & (split.labels < ids.stop)
    return Split(split.items, split.labels[chosen] - ids.start, split.rows[chosen])
