"""dataset=...: a source, the subset and the splits cut from it, class groups and transforms."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class
from peftlab.dataset.group import group_classes, uses_thresholds
from peftlab.dataset.image.transform import Transform, eval_transform, train_transform
from peftlab.dataset.long_tail import long_tail, long_tail_counts
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.option import Fraction, NonNegativeInt, PositiveFloat, PositiveInt

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a run needs of its data. `counts` are training images per class after all cuts.

    `groups` (head, medium, tail) come from the counts of the long tail, before the validation cut. No test
    image is read before `open_test()`. `index` holds the row ids of train and val, `index_hash` is a sha256
    over them and the source's content.
    """

    name: str
    class_names: list[str]
    train: Split
    val: Split | None
    open_test: Callable[[], Split]
    counts: Int64[np.ndarray, " c"]
    groups: dict[str, list[int]]
    index_hash: str
    index: dict[str, list[int]]
    transform_text: str
    train_transform: Transform
    eval_transform: Transform
    num_workers: int


def dataset(
    spec: InputSpec,
    run_seed: int,
    /,
    *,
    name: str,
    source: Callable[[str | None], Source],
    path: str | None,
    imbalance: PositiveFloat | None,
    max_per_class: PositiveInt | None,
    seed: int,
    groups: dict[str, Any],
    group_counts_imbalance: PositiveFloat | None,
    val_fraction: Fraction | None,
    augment: Literal["random_resized_crop", "pad_crop_flip", "pad_crop", "none"],
    crop_scale: list[float],
    standardise: bool,
    num_workers: NonNegativeInt,
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None,
    mean: list[float] | None,
    std: list[float] | None,
) -> Dataset:
    """Read a source, cut its long tail (by `seed`), then validation (by `run_seed`), and group the classes.

    Raises:
        UserError: for a value that is not legal or would have no effect, and for an unreadable source.
    """
    spec = _input_spec(spec, interpolation, mean, std, standardise)
    train_crop = train_transform(spec, augment=augment, crop_scale=_area(crop_scale), standardise=standardise)
    eval_crop = eval_transform(spec, standardise=standardise)
    found = source(path)
    num_classes = len(found.class_names)
    tail = long_tail(
        found.train.labels,
        imbalance=imbalance,
        max_per_class=max_per_class,
        seed=seed,
        num_classes=num_classes,
    )
    cut = found.train.subset(tail)
    group_counts = cut.counts(num_classes)
    if group_counts_imbalance is not None:
        group_counts = _reference_counts(found, group_counts_imbalance, max_per_class, groups)
    train, val = _validation(cut, found.val, val_fraction, run_seed, num_classes)
    return Dataset(
        name=name,
        class_names=found.class_names,
        train=train,
        val=val,
        open_test=found.open_test,
        counts=train.counts(num_classes),
        groups=group_classes(groups, found.class_names, group_counts),
        index_hash=_index_hash(train, val),
        index={"train": train.rows.tolist(), "val": [] if val is None else val.rows.tolist()},
        transform_text=f"train: {train_crop.text}; eval: {eval_crop.text}",
        train_transform=train_crop,
        eval_transform=eval_crop,
        num_workers=num_workers,
    )


def used_transform(spec: InputSpec, node: dict[str, Any]) -> Transform:
    """The evaluation input of a dataset node, without its images."""
    keys = ("interpolation", "mean", "std", "standardise")
    return eval_transform(_input_spec(spec, *(node[key] for key in keys)), standardise=node["standardise"])


def _input_spec(
    spec: InputSpec,
    interpolation: str | None,
    mean: list[float] | None,
    std: list[float] | None,
    standardise: bool,
) -> InputSpec:
    if standardise and (mean is not None or std is not None):
        raise UserError(
            f"dataset.mean={mean}, dataset.std={std} have no effect with dataset.standardise; legal: null"
        )
    for key, values in (("mean", mean), ("std", std)):
        if values is not None and (len(values) != 3 or (key == "std" and min(values) <= 0)):
            raise UserError(
                f"dataset.{key}={values} is not one number a channel; legal: three (std above 0), or null"
            )
    used = replace(
        spec,
        interpolation=interpolation or spec.interpolation,
        mean=spec.mean if mean is None else (mean[0], mean[1], mean[2]),
        std=spec.std if std is None else (std[0], std[1], std[2]),
    )
    if used.interpolation not in INTERPOLATIONS:
        raise UserError(
            f"dataset.interpolation={used.interpolation} is not offered; legal: {', '.join(INTERPOLATIONS)}"
        )
    return used


def _area(crop_scale: list[float]) -> tuple[float, float]:
    if len(crop_scale) != 2 or not 0 < crop_scale[0] <= crop_scale[1] <= 1:
        raise UserError(
            f"dataset.crop_scale={crop_scale} is no range of areas; legal: [lower, upper] between 0 and 1"
        )
    return crop_scale[0], crop_scale[1]


def _reference_counts(
    found: Source, imbalance: float, max_per_class: int | None, groups: dict[str, Any]
) -> Int64[np.ndarray, " c"]:
    key = "dataset.group_counts_imbalance"
    if not uses_thresholds(groups):
        raise UserError(
            f"{key}={imbalance} would have no effect with lists of classes; legal: null with them"
        )
    counts = found.train.counts(len(found.class_names))
    return long_tail_counts(counts, imbalance=imbalance, max_per_class=max_per_class, key=key)


def _validation(
    cut: Split, own: Split | None, fraction: float | None, run_seed: int, num_classes: int
) -> tuple[Split, Split | None]:
    """The source's own split, or round(fraction * n_c) of each class, whose last image stays in training."""
    if own is not None and fraction:
        raise UserError(
            f"dataset.val_fraction={fraction} but the data set has its own validation split; legal: 0 or null"
        )
    if own is not None or not fraction:
        return cut, own
    counts = cut.counts(num_classes)
    held_out = draw_per_class(
        cut.labels,
        np.clip(share_per_class(counts, fraction), 0, np.maximum(counts - 1, 0)),
        run_seed,
        "split",
    )
    if fraction >= 1 or not len(held_out):
        side = "validation" if not len(held_out) else "training"
        raise UserError(
            f"dataset.val_fraction={fraction} of {len(cut)} images leaves no {side}; legal: 0, or a share"
        )
    kept = np.setdiff1d(np.arange(len(cut)), held_out)
    return cut.subset(kept), cut.subset(held_out)


def _index_hash(train: Split, val: Split | None) -> str:
    text = train.index_hash() + ("" if val is None else val.index_hash())
    return hashlib.sha256(text.encode()).hexdigest()
