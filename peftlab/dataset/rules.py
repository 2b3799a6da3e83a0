"""What can be said of a choice of data before torch is imported and a picture is read."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftlab.dataset.source.where import folder_of, place_of
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.option import Range

NAMES = ("head", "medium", "tail")
THRESHOLDS = ("many_above", "few_below")
COUNT = Range(0, 1_000_000_000)
FROM_HUB = ("hub", "text_hub", "answer_hub")  # sources that look for a set of the hub's layout
# sources that read lists or class folders below a folder of their own
VIDEOS = ("ucf101", "hmdb51", "kinetics400", "something_something_v2")
FROM_LISTS = ("image_list", "vtab1k", "coop", "aircraft", "imagenet", *VIDEOS)
SHIPPED = ("digits", "moving_digits")  # sources that are on every machine
KNOWN = (*FROM_HUB, *FROM_LISTS, *SHIPPED)  # sources whose options tell whether they have a validation split
LEGAL = "{many_above: 100, few_below: 20} or {head: [...], medium: [...], tail: [...]}, the others null"


def check_dataset(options: Mapping[str, Any], source: str, select: str = "last") -> None:
    """`source` is the word of the choice's source, `select` the run's fit.select.

    Raises:
        UserError: for a path that cannot be one of this source, a crop that is no range of areas, numbers of a picture's
            channels that are none, a file of class names that is none, a template without its places, groups of no classes, and a
            validation split that is asked for and taken away.
    """
    _check_inputs(options)
    if "class_names" in options:
        _check_words(options["class_names"], options["templates"])
    if "template" in options:
        _check_template(options["template"])
    if "groups" in options:
        check_groups(options["groups"])
        if options.get("group_counts_imbalance") is not None:
            check_counted(options["group_counts_imbalance"], options["groups"])
    _check_path(options, source)
    if "val_fraction" in options:
        _check_validation(options, source, select)


def _check_path(options: Mapping[str, Any], source: str) -> None:
    path = options.get("path")
    if isinstance(path, str) and not path.strip():
        raise UserError("dataset.path is empty; legal: an existing folder, or null")
    if source in ("image_folder", "video_folder") and not (path is not None and expanded(path).is_dir()):
        given = "null names no folder" if path is None else f"{path} is not a folder"
        raise UserError(f"dataset.path={given}; legal: a folder of class folders")
    if source in SHIPPED and path is not None:
        raise UserError(
            f"dataset.path={path} has no meaning for {source}, which come with scikit-learn; legal: null"
        )
    if source in ("text_folder", "answer_folder") and not (path is not None and expanded(path).exists()):
        given = "null names no file" if path is None else f"{path} is neither a file nor a folder"
        raise UserError(
            f"dataset.path={given}; legal: a .csv, .tsv or .jsonl file, or a folder with train and test files of these kinds"
        )
    if source in FROM_HUB:
        from_hub = options["source"].options
        place_of(path, from_hub["hub_id"], from_hub["folder"])
    if source in FROM_LISTS:
        folder_of(path, options["source"].options["folder"])


def _check_inputs(options: Mapping[str, Any]) -> None:
    """Of pictures and of the frames of clips."""
    if "crop_scale" in options:
        check_crop(options["crop_scale"])
        check_channels(options["mean"], options["std"], options.get("standardise", False))
    if "views" in options:
        _check_views(options["views"], options["views_expand"], options["views_num"])
    if "stride" in options:
        check_stride(options["sampling"], options["stride"])


def check_crop(crop: Sequence[float | int]) -> None:
    """Raises UserError for anything but two shares of an area in order."""
    if len(crop) != 2 or not 0 < crop[0] <= crop[1] <= 1:
        raise UserError(
            f"dataset.crop_scale={crop} is no range of areas; legal: [lower, upper] between 0 and 1"
        )


def check_channels(
    mean: Sequence[float | int] | None, std: Sequence[float | int] | None, standardise: bool
) -> None:
    """Raises UserError for a mean or std of other than three channels, or beside `standardise`."""
    if standardise and (mean is not None or std is not None):
        raise UserError(
            f"dataset.mean={mean}, dataset.std={std} have no effect with dataset.standardise; legal: null"
        )
    for key, values in (("mean", mean), ("std", std)):
        if values is not None and (len(values) != 3 or (key == "std" and min(values) <= 0)):
            raise UserError(
                f"dataset.{key}={values} is not one number a channel; legal: three (std above 0), or null"
            )


def check_stride(sampling: str, stride: int | None) -> None:
    """Raises UserError for a stride where the whole video is sampled, and for none where frames lie so far apart."""
    if (sampling == "dense") != (stride is not None):
        legal = "a number of frames, as 8" if sampling == "dense" else "null"
        given = "null" if stride is None else stride
        raise UserError(
            f"dataset.stride={given} does not go with dataset.sampling={sampling}; legal: {legal}"
        )


def _check_views(views: str | None, expand: int | None, num: int | None) -> None:
    used = {"views_expand": ("five_crop", "ten_crop"), "views_num": ("random_resized_crop",)}
    for (key, legal), value in zip(used.items(), (expand, num), strict=True):
        if value is not None and views not in legal:
            given = "without views" if views is None else f"with dataset.views={views}"
            raise UserError(
                f"dataset.{key}={value} would have no effect {given}; legal: null, or dataset.views={', '.join(legal)}"
            )


def _check_words(file: str | None, templates: Sequence[str]) -> None:
    if file is not None and not expanded(file).is_file():
        raise UserError(
            f"dataset.class_names={file} is no file; legal: a text file with a line NAME words for each class, or null"
        )
    for template in templates:
        if template.count("{}") != 1 or set("{}") & set(template.replace("{}", "")):
            raise UserError(
                f"dataset.templates has {template!r}, which has no one place for the words of a class; legal: sentences with {{}} once"
            )


def _check_template(template: str) -> None:
    if (
        template.count("{question}") != 1
        or template.count("{answer}") != 1
        or not template.endswith("{answer}")
    ):
        raise UserError(
            f"dataset.template={template!r} is no way from a question to its answer; legal: words with {{question}} once, and"
            " {answer} at the end"
        )


def uses_thresholds(groups: Mapping[str, Any]) -> bool:
    """Whether counts make the groups. A key set to null counts as absent: an override cannot remove a key."""
    return {key for key, value in groups.items() if value is not None} == set(THRESHOLDS)


def check_groups(groups: Mapping[str, Any]) -> None:
    """Raises UserError for keys that are none of groups, thresholds that overlap, and a group that is no list."""
    given = {key: value for key, value in groups.items() if value is not None}
    if uses_thresholds(groups):
        _check_thresholds(given["many_above"], given["few_below"])
        return
    if not given or not set(given) <= set(NAMES):
        told = ", ".join(f"dataset.groups.{key}={value}" for key, value in given.items())
        raise UserError(f"{told or 'dataset.groups={}'} is no way to make groups; legal: {LEGAL}")
    for name, entries in given.items():
        if not isinstance(entries, list):
            raise UserError(
                f"dataset.groups.{name}={entries} is no list; legal: a list of class names, as {name}=[CLASS]"
            )


def _check_thresholds(many_above: Any, few_below: Any) -> None:
    for key, value in (("many_above", many_above), ("few_below", few_below)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not COUNT.holds(value):
            legal = f"{COUNT.text('a number')} training items"
            raise UserError(f"dataset.groups.{key}={value} is no count; legal: {legal}")
    if few_below > many_above + 1:
        raise UserError(
            f"dataset.groups.few_below={few_below} reaches into head; legal: up to {many_above} + 1"
        )


def check_counted(imbalance: float | int, groups: Mapping[str, Any]) -> None:
    """Raises UserError for counts at another imbalance beside lists of classes, which need no counts."""
    if not uses_thresholds(groups):
        raise UserError(
            f"dataset.group_counts_imbalance={imbalance} would have no effect with lists of classes; legal: null with them"
        )


def _check_validation(options: Mapping[str, Any], source: str, select: str) -> None:
    fraction, given = options["val_fraction"], options["source"].options
    own = own_validation(given) is not None
    if own and fraction:
        raise UserError(
            f"dataset.val_fraction={fraction} but the data set has its own validation split; legal: 0 or null"
        )
    if select == "best" and fraction == 0 and not own and source in KNOWN:
        raise UserError(
            "fit.select=best needs items to select on, and dataset.val_fraction=0 leaves none; legal: above 0 or null, or"
            " fit.select=last"
        )


def own_validation(source: Mapping[str, Any]) -> str | None:
    """What the options of a source call its validation split or the list of it; None without one."""
    found: str | None = source.get("val_split") or source.get("val_list")
    return found


def leaves_none(fraction: float | int | None, source: str, own: str | None, select: str) -> bool:
    """Whether no items validate, as far as that can be said before the data are opened: a folder of one's own may have some."""
    if own is not None or source not in KNOWN:
        return False
    return not fraction and (fraction is not None or select != "best")
