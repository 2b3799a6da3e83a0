"""What a frozen backbone makes of all items of a data set."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from peftlab.build.trunk import open_trunk
from peftlab.config.resolved import Resolved

SIDE = 32  # of a thumbnail


class Frozen(NamedTuple):
    """The items of a split in its order; `names` is what they are called, `thumbnail` makes a small grey picture of one."""

    features: Float[Tensor, "n d"]
    labels: Int64[Tensor, " n"]
    names: list[str]
    thumbnail: Callable[[int], Float[Tensor, " p"]] | None


def frozen_splits(resolved: Resolved) -> tuple[list[str], dict[str, Frozen]]:
    """The names of the classes, and train, val (where there is one) and test as evaluation sees them.

    It opens the test: for people who look at data, not for a run.

    Raises:
        UserError: for weights or data that cannot be had.
    """
    trunk = open_trunk(resolved)
    data = trunk.dataset
    result = {}
    for name, split in {"train": data.train, "val": data.val, "test": data.open_test()}.items():
        if split is not None:
            features, labels = map(torch.cat, zip(*trunk.features(split), strict=True))
            contents = getattr(split.items, "contents", None)
            rows = split.rows.tolist()
            names = [f"row {row} of {name}" if contents is None else contents.describe(row) for row in rows]
            thumbnail = partial(_thumbnail, split.items, rows) if data.noun == "images" else None
            result[name] = Frozen(features.float(), labels, names, thumbnail)
    return data.class_names, result


def _thumbnail(items: Any, rows: list[int], item: int) -> Float[Tensor, " p"]:
    picture = items.take(np.array([rows[item]]))[0].double().mean(0, keepdim=True)
    return torch.nn.functional.adaptive_avg_pool2d(picture, SIDE).flatten()
