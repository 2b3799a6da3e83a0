"""The real images or texts on which an export is compared with its run."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.dataset import used_transform
from peftlab.dataset.source.picture import picture_files, read_picture
from peftlab.errors import UserError
from peftlab.model.load import Trained

NUM_IMAGES = 32


class Compared(NamedTuple):
    """Images or texts as the model takes them, and where they are from."""

    inputs: dict[str, Tensor]
    source: str


def real_images(trained: Trained, path: str | None) -> Compared:
    """At most 32, evenly from the run's validation split or else its training images, without augmentation; or from `path`.

    The test split stays closed.

    Raises:
        UserError: if the run's data cannot be read here, or `path` holds no image.
    """
    choice = trained.resolved.dataset
    if path is not None:
        spec = trained.backbone.image_spec(f"--images={path}")
        files = picture_files(path)
        chosen = [files[index] for index in _evenly(len(files))]
        return Compared(used_transform(spec, choice.options)([read_picture(file) for file in chosen]), path)
    try:
        dataset: Dataset = choice(trained.backbone.input_spec, trained.resolved.seed)
    except UserError as error:
        raise UserError(f"{error}; any other images are given with --images PATH") from error
    name, split = ("train", dataset.train) if dataset.val is None else ("val", dataset.val)
    part = split.subset(_evenly(len(split)))
    batch = EvalBatches(part, dataset.eval_transform, batch_size=len(part), num_workers=0).batch(0)
    return Compared(batch.inputs, f"{dataset.name}, {name} split")


def _evenly(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, NUM_IMAGES).round().astype(np.int64))
