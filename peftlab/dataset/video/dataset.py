"""dataset=... of videos: a source of them, its cuts, and the clips that are sampled, cropped and normalised."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from peftlab.dataset.cut import Cuts, fewer_test, test_note
from peftlab.dataset.dataset import Dataset, check_classes, cut_dataset
from peftlab.dataset.image.input import crop_area, used_spec
from peftlab.dataset.source.source import Source
from peftlab.dataset.video.sampling import Sampling
from peftlab.dataset.video.transform import eval_transform, train_transform, views_transform
from peftlab.inputs.image import InputSpec
from peftlab.option import (
    BelowOne,
    Finite,
    Fraction,
    Imbalance,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
)


def video_dataset(
    spec: InputSpec,
    run_seed: int,
    /,
    *,
    name: str,
    source: Callable[[str | None], Source],
    path: str | None,
    imbalance: Imbalance | None,
    max_per_class: PositiveInt | None,
    test_max_per_class: PositiveInt | None,
    seed: NonNegativeInt,
    groups: dict[str, Any],
    group_counts_imbalance: Imbalance | None,
    val_fraction: BelowOne | None,
    num_workers: NonNegativeInt,
    frames: Annotated[int, Range(1, 1024)],
    sampling: Literal["uniform", "dense"],
    stride: Annotated[int, Range(1, 1024)] | None,
    num_clips: Annotated[int, Range(1, 64)],
    num_crops: Literal[1, 3],
    augment: Literal["random_resized_crop", "none"],
    crop_scale: list[Fraction],
    flip: bool,
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None,
    mean: list[Finite] | None,
    std: list[PositiveFloat] | None,
) -> Dataset:
    """Read a source, cut its long tail (by `seed`), then validation (by `run_seed`), and group the classes.

    Raises: UserError for a value that is not legal or would have no effect, and for an unreadable source.
    """
    spec = used_spec(spec, interpolation, mean, std, standardise=False)
    chosen = Sampling(frames, sampling, stride)
    train = train_transform(spec, chosen, augment=augment, crop_scale=crop_area(crop_scale), flip=flip)
    found = fewer_test(source(path), test_max_per_class, seed)
    check_classes(found.class_names)
    cuts = Cuts(imbalance, max_per_class, seed, groups, group_counts_imbalance, val_fraction, run_seed)
    given: Any = {"train_transform": train, "eval_transform": eval_transform(spec, chosen, 1, 1)}
    made = cut_dataset(name, found, cuts, num_workers=num_workers, **given)
    return replace(
        made, views=views_transform(spec, chosen, num_clips, num_crops), note=test_note(test_max_per_class)
    )
