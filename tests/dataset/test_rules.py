"""What is refused before torch is imported."""

from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.rules import check_dataset
from peftlab.errors import UserError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": ""}, "dataset.path is empty"), ({"path": "  "}, "dataset.path is empty"),
        ({"path": "/no/such/folder"}, "dataset.path=/no/such/folder is not a folder"),
        ({"crop_scale": [0.5, 0.2]}, "dataset.crop_scale="), ({"crop_scale": [0.0, 1.0]}, "dataset.crop_scale="),
        ({"crop_scale": [0.5]}, "dataset.crop_scale="), ({"crop_scale": [0.5, 1.5]}, "dataset.crop_scale="),
    ],
)  # fmt: skip
def test_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        check_dataset(options, "image_folder")
    assert str(error.value).startswith(words)


def test_legal(tmp_path: Path) -> None:
    for options in ({"path": str(tmp_path)}, {"path": None, "crop_scale": [0.08, 1.0]}, {}):
        check_dataset(options, "image_folder")
    check_dataset({"path": "owner/name"}, "hub")
