"""Single pictures: files that belong to no data set."""

from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from peftlab.dataset.source.encoded_split import decode_rgb
from peftlab.dataset.source.image_folder import ENDINGS
from peftlab.errors import UserError


def picture_files(path: str) -> list[Path]:
    """The file itself, or all pictures in a folder and the folders below it, sorted.

    Raises:
        UserError: if there is nothing of this name, or no picture in it.
    """
    root = Path(path).expanduser()
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise UserError(f"{path} is neither a file nor a folder; legal: an image, or a folder of images")
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not files:
        raise UserError(f"{path} holds no image; legal: files that end in {' '.join(ENDINGS)}")
    return files


def read_picture(file: Path) -> UInt8[Tensor, "3 h w"]:
    """One picture, decoded as those of a data set are.

    Raises:
        UserError: for a file that cannot be read, or is no 8-bit picture.
    """
    try:
        encoded = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); legal: an image") from error
    return torch.from_numpy(decode_rgb(encoded, name=str(file), found="there is")).permute(2, 0, 1)
