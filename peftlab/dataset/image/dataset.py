"""dataset=... of pictures: a source of them, its cuts, and the crop and normalisation that the backbone wants."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from peftlab.dataset.base_new import groups_of, of_classes, open_new
from peftlab.dataset.cut import Cuts, fewer_test, fewer_validation, test_note
from peftlab.dataset.dataset import Dataset, check_classes, cut_dataset
from peftlab.dataset.image.input import crop_area, used_spec
from peftlab.dataset.image.shift import with_shift
from peftlab.dataset.image.transform import ImageTransform, eval_transform, train_transform, views_transform
from peftlab.dataset.source.source import Source, with_words
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


def image_dataset(
    spec: InputSpec,
    run_seed: int,
    /,
    *,
    name: str,
    source: Callable[[str | None], Source],
    path: str | None,
    imbalance: Imbalance | None,
    max_per_class: PositiveInt | None,
    seed: NonNegativeInt,
    groups: dict[str, Any],
    group_counts_imbalance: Imbalance | None,
    val_fraction: BelowOne | None,
    num_workers: NonNegativeInt,
    augment: Literal["random_resized_crop", "pad_crop_flip", "pad_crop", "none"],
    crop_scale: list[Fraction],
    standardise: bool,
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None,
    mean: list[Finite] | None,
    std: list[PositiveFloat] | None,
    views: Literal["five_crop", "ten_crop", "random_resized_crop"] | None,
    views_expand: Annotated[int, Range(1, 1024)] | None,
    views_num: Annotated[int, Range(2, 1024)] | None,
    class_names: str | None,
    templates: list[str],
    classes: Literal["all", "base", "new"],
    val_max_per_class: PositiveInt | None,
    test_max_per_class: PositiveInt | None,
    shift: Literal["noise", "blur", "contrast"] | None,
    shift_severity: Annotated[int, Range(1, 5)],
) -> Dataset:
    """Read a source, keep its `classes`, cut their long tail (by `seed`), then validation (by `run_seed`), and group them.

    Raises:
        UserError: for a value that is not legal or would have no effect, and for an unreadable source.
    """
    spec = used_spec(spec, interpolation, mean, std, standardise)
    train = train_transform(spec, augment=augment, crop_scale=crop_area(crop_scale), standardise=standardise)
    every = with_shift(with_words(source(path), class_names), shift, shift_severity)
    whole = fewer_test(every, test_max_per_class, seed)
    check_classes(whole.class_names)
    chosen = fewer_validation(of_classes(whole, classes), val_max_per_class, seed)
    groups = groups_of(groups, whole.class_names, classes)
    cuts = Cuts(imbalance, max_per_class, seed, groups, group_counts_imbalance, val_fraction, run_seed)
    plain = eval_transform(spec, standardise=standardise)
    made = cut_dataset(
        name, chosen, cuts, train_transform=train, eval_transform=plain, num_workers=num_workers
    )
    return replace(
        made,
        views=views_transform(spec, views, views_expand, views_num, standardise=standardise),
        open_new=partial(open_new, whole) if classes == "base" else None,
        templates=tuple(templates),
        note=_note(shift, shift_severity, test_max_per_class),
    )


def _note(shift: str | None, severity: int, test_max_per_class: int | None) -> str:
    """What is said of the test beside its number."""
    shifted = "" if shift is None else f"test images with {shift} of severity {severity}"
    return "; ".join(filter(None, (shifted, test_note(test_max_per_class))))


def used_transform(spec: InputSpec, options: Mapping[str, Any]) -> ImageTransform:
    """The evaluation input of a choice of data, one view, without its images; of clips that of a frame."""
    return eval_transform(_used(spec, options), standardise=_standardise(options))


def used_views(spec: InputSpec, options: Mapping[str, Any]) -> ImageTransform:
    """What a run of these data is tested on: several views of each image, or its evaluation input."""
    given = (options[key] for key in ("views", "views_expand", "views_num"))
    own = views_transform(_used(spec, options), *given, standardise=options["standardise"])
    return used_transform(spec, options) if own is None else own


def _used(spec: InputSpec, options: Mapping[str, Any]) -> InputSpec:
    interpolation, mean, std = (options[key] for key in ("interpolation", "mean", "std"))
    return used_spec(spec, interpolation, mean, std, _standardise(options))


def _standardise(options: Mapping[str, Any]) -> bool:
    return bool(options.get("standardise", False))  # clips have no such option
