"""VTAB-1k: 19 tasks of 1,000 training images each, in the folders that NOAH, SSF and FacT read."""

from typing import Literal, get_args

from peftlab.dataset.source.image_list import image_list
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import MissingData
from peftlab.inputs.plain import plain

Task = Literal[
    # natural
    "caltech101",
    "cifar",
    "dtd",
    "oxford_flowers102",
    "oxford_iiit_pet",
    "sun397",
    "svhn",
    # specialised
    "diabetic_retinopathy",
    "eurosat",
    "patch_camelyon",
    "resisc45",
    # structured
    "clevr_count",
    "clevr_dist",
    "dmlab",
    "dsprites_loc",
    "dsprites_ori",
    "kitti",
    "smallnorb_azi",
    "smallnorb_ele",
]
_NUMBERS = (102, 100, 47, 102, 37, 397, 10, 5, 10, 2, 45, 8, 6, 6, 16, 16, 4, 18, 9)
NUM_CLASSES: dict[str, int] = dict(zip(get_args(Task), _NUMBERS, strict=True))


def vtab1k(
    path: str | None,
    *,
    folder: str | None,
    task: Task,
    train_list: str,
    val_list: str | None,
    test_list: str,
    follow_links: bool,
) -> Source:
    """The folder of a task in `path` if given, else in `$PEFTLAB_DATA/<folder>`. A class may have no training image.

    Raises:
        UserError: as `image_list`, and for a task without a folder.

    Source: Zhai et al. 2019, arXiv:1910.04867; the lists are those of NOAH's get_vtab1k.py (Zhang et al. 2022, arXiv:2206.04673).
    """
    root = folder_of(path, folder) / task
    if not root.is_dir():
        raise MissingData(
            f"dataset.source.task={task}: there is no folder {plain(str(root))}; legal: a folder of lists and images for each task"
        )
    return image_list(
        str(root),
        folder=None,
        image_root=".",
        train_list=train_list,
        val_list=val_list,
        test_list=test_list,
        names_file=None,
        labels="numbers",
        num_classes=NUM_CLASSES[task],
        follow_links=follow_links,
    )
