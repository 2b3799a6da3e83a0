"""The real images or texts on which an export is compared with its run."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.dataset import used_transform
from peftlab.dataset.reads import TEXT_FILES
from peftlab.dataset.source.loose_texts import columns_of, read_texts
from peftlab.dataset.source.picture import picture_files, read_picture
from peftlab.dataset.text.dataset import inputs_of
from peftlab.dataset.text.texts import Columns
from peftlab.errors import UserError
from peftlab.model.load import Trained

NUM_IMAGES = 32


class Compared(NamedTuple):
    """Images or texts as the model takes them, and where they are from."""

    inputs: dict[str, Tensor]
    source: str


def real_images(trained: Trained, path: str | None) -> Compared:
    """At most 32, evenly from the run's validation split or else its training items, without augmentation; or from `path`.

    The test split stays closed.

    Raises:
        UserError: if the run's data cannot be read here, or `path` holds no image, or no text.
    """
    choice = trained.resolved.dataset
    if path is not None:
        return Compared(
            _texts(trained, path) if path.lower().endswith(TEXT_FILES) else _images(trained, path), path
        )
    try:
        dataset: Dataset = choice(trained.backbone.input_spec, trained.resolved.seed)
    except UserError as error:
        raise UserError(f"{error}; any other {_way(trained)}") from error
    name, split = ("train", dataset.train) if dataset.val is None else ("val", dataset.val)
    part = split.subset(_evenly(len(split)))
    batch = EvalBatches(part, dataset.eval_transform, batch_size=len(part), num_workers=0).batch(0)
    return Compared(batch.inputs, f"{dataset.name}, {name} split")


def _images(trained: Trained, path: str) -> dict[str, Tensor]:
    spec = trained.backbone.image_spec(f"--images={path}")
    files = picture_files(path)
    chosen = [read_picture(files[index]) for index in _evenly(len(files))]
    return used_transform(spec, trained.resolved.dataset.options)(chosen)


def _texts(trained: Trained, path: str) -> dict[str, Tensor]:
    spec, data = trained.backbone.text_spec(f"--texts={path}"), trained.resolved.dataset
    found = read_texts(path, *columns_of(data))
    rows = [found.words(row) for row in _evenly(len(found.first)).tolist()]
    second = None if found.second is None else [row[1] for row in rows]
    return inputs_of(spec, data.options["max_length"], Columns([row[0] for row in rows], second))


def _way(trained: Trained) -> str:
    is_text = trained.backbone.input_spec.noun == "texts"
    return "texts are given with --texts FILE" if is_text else "images are given with --images PATH"


def _evenly(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, NUM_IMAGES).round().astype(np.int64))
