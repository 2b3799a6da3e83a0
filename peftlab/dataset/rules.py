"""What can be said of a choice of data before torch is imported and a picture is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftlab.errors import UserError


def check_dataset(options: Mapping[str, Any], source: str) -> None:
    """`source` is the word of the choice's source.

    Raises:
        UserError: for an empty path, a folder that is not there, and a crop that is no range of areas.
    """
    path, crop = options.get("path"), options.get("crop_scale")
    if isinstance(path, str) and not path.strip():
        raise UserError("dataset.path is empty; legal: an existing folder, or null")
    if source == "image_folder" and path is not None and not Path(path).expanduser().is_dir():
        raise UserError(f"dataset.path={path} is not a folder; legal: a folder of class folders")
    if crop is not None and (len(crop) != 2 or not 0 < crop[0] <= crop[1] <= 1):
        raise UserError(
            f"dataset.crop_scale={crop} is no range of areas; legal: [lower, upper] between 0 and 1"
        )
