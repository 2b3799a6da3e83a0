"""`peftlab-data audit`: items of two splits that are almost the same, and labels that are likely wrong."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.inputs.plain import plain
from peftlab.record.table import table_text
from peftlab.record.whole_file import check_place, write_whole

if TYPE_CHECKING:
    from peftlab.model.frozen import Frozen

FOLDS = 5
MAX_PROBABILITIES = 2**27  # items by classes, 1 GiB
NEAR, LABEL = "near-duplicate", "label"


class Row(NamedTuple):
    """A line of the table. `score` is a cosine, or the probability of the label that the item has; `pixels` a correlation."""

    found: str
    split: str
    item: str
    class_name: str
    other_split: str | None
    other_item: str | None
    other_class: str
    score: float
    pixels: float | None


def write_audit(config: dict[str, Any], out: Path, near: float) -> list[str]:
    """Lines for people; all that is found stands in the table `out`.

    Raises:
        UserError: for a place that cannot be written, a cosine that is none, and data or weights that cannot be had.
    """
    if not 0 < near <= 1:
        raise UserError(f"--near={near} is no cosine; legal: above 0, at most 1")
    check_place(out, "--csv")
    resolved = resolve(config)
    if resolved.task.word == "generate":
        raise UserError("task=generate has answers and no classes to audit; legal: task=classify")
    from peftlab.model.frozen import frozen_splits

    class_names, splits = frozen_splits(resolved)
    shared = sorted(_near(splits, class_names, near), key=lambda row: -(row.pixels or 0.0))
    number = sum(len(split.labels) for split in splits.values())
    doubtful: list[Row] = []
    labels = f"not judged, as {number:,} items of {len(class_names):,} classes are too many for a probe"
    if number * len(class_names) <= MAX_PROBABILITIES:
        doubtful, right = _labels(splits, class_names)
        labels = f"{right:.1%} are those of a linear probe out of fold; {len(doubtful):,} doubtful{_example(doubtful)}"
    numbers = ((*row[:-2], *map(_written, row[-2:])) for row in (*shared, *doubtful))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, table_text([Row._fields, *numbers]))
    seen = [row.pixels for row in shared if row.pixels is not None]  # of texts none
    same = (
        f", {sum(pixels >= near for pixels in seen):,} of them with such a correlation of pixels"
        if seen
        else ""
    )
    sizes = ", ".join(f"{name} {len(split.labels):,}" for name, split in splits.items())
    width = next(iter(splits.values())).features.shape[1]
    return [
        f"backbone: {resolved.backbone.options['name']}, {width} features",
        f"items: {sizes}",
        f"alike in two splits: {len(shared):,} with a cosine of features of {near} or more{same}{_example(shared)}",
        f"labels: {labels}",
        f"written: {plain(str(out))}",
    ]


def _near(splits: "dict[str, Frozen]", class_names: list[str], near: float) -> Iterator[Row]:
    from peftlab.dataset.suspect.near import correlation, near_pairs

    for (one, first), (other, second) in combinations(splits.items(), 2):
        for pair in near_pairs(first.features, second.features, at_least=near):
            classes = class_names[second.labels[pair.other]], class_names[first.labels[pair.one]]
            names = second.names[pair.other], first.names[pair.one]
            pixels = None
            if first.thumbnail is not None and second.thumbnail is not None:
                pixels = correlation(first.thumbnail(pair.one), second.thumbnail(pair.other))
            yield Row(NEAR, other, names[0], classes[0], one, names[1], classes[1], pair.cosine, pixels)


def _labels(splits: "dict[str, Frozen]", class_names: list[str]) -> tuple[list[Row], float]:
    """The doubtful labels of all splits together, and the share of labels that the probe agrees with."""
    import torch

    from peftlab.dataset.suspect.confident import doubts
    from peftlab.dataset.suspect.probe import out_of_fold

    features = torch.cat([split.features for split in splits.values()])
    labels = torch.cat([split.labels for split in splits.values()])
    where = [(name, item) for name, split in splits.items() for item in split.names]
    # a class with one item has none to learn from
    judged = (torch.bincount(labels, minlength=len(class_names))[labels] > 1).nonzero().flatten()
    probabilities = out_of_fold(features[judged], labels[judged], len(class_names), folds=FOLDS)
    rows = []
    for doubt in doubts(probabilities, labels[judged]):
        place = int(judged[doubt.item])
        name, likely = class_names[labels[place]], class_names[doubt.likely]
        rows.append(Row(LABEL, *where[place], name, None, None, likely, doubt.confidence, None))
    return rows, float((probabilities.argmax(1) == labels[judged]).double().mean())


def _written(number: float | None) -> str | None:
    return None if number is None else f"{number:.6f}"


def _example(rows: list[Row]) -> str:
    """The first of them, in words."""
    if not rows:
        return ""
    row = rows[0]
    item = f", as {row.item} ({row.split}, {row.class_name})"
    if row.found == NEAR:
        return f"{item} and {row.other_item} ({row.other_split}, {row.other_class})"
    return f"{item}, taken for {row.other_class}; its own label has the probability {row.score:.4f}"
