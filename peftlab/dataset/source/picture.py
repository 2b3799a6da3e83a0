"""Single pictures: files that belong to no data set."""

from collections import Counter
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from peftlab.dataset.source.encoded_split import decode_rgb
from peftlab.dataset.source.tree import ENDINGS, pictures
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain


def picture_files(path: str) -> list[Path]:
    """The file itself, or all pictures in a folder and the folders below it, sorted.

    Raises:
        UserError: if there is nothing of this name, or no picture in it.
    """
    root = expanded(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise UserError(f"{path} is neither a file nor a folder; legal: an image, or a folder of images")
    files = pictures(root, Counter())
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
        raise UserError(f"{plain(str(file))} cannot be read ({error.strerror}); legal: an image") from error
    return torch.from_numpy(decode_rgb(encoded, name=plain(str(file)), found="there is")).permute(2, 0, 1)
