"""Single files are found and decoded as those of a data set."""

import numpy as np
import pytest
import torch
from PIL import Image

from peftlab.dataset.source.picture import picture_files, read_picture
from peftlab.errors import UserError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("c.png", "b/a.PNG", "b/deep/z.tif"):
        Image.fromarray(GREY).save(tmp_path / name)
    (tmp_path / "b" / "text.md").write_text("")
    (tmp_path / "d.png").mkdir()
    return tmp_path


def test_folders_are_searched_in_order(folder):
    found = [str(path.relative_to(folder)) for path in picture_files(str(folder))]
    assert found == ["b/a.PNG", "b/deep/z.tif", "c.png"]


def test_a_file_may_have_any_name(folder):
    assert picture_files(str(folder / "b" / "text.md")) == [folder / "b" / "text.md"]


def test_grey_becomes_three_channels(folder):
    assert torch.equal(read_picture(folder / "c.png"), torch.from_numpy(GREY).expand(3, 3, 4))


def test_wrong_inputs(folder):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="gone is neither a file nor a folder"):
        picture_files(str(folder / "gone"))
    with pytest.raises(UserError, match=r"empty holds no image; legal: files that end in \.bmp"):
        picture_files(str(folder / "empty"))
    with pytest.raises(UserError, match=r"^there is an unreadable image, .*text.md"):
        read_picture(folder / "b" / "text.md")
    with pytest.raises(UserError, match=r"d.png cannot be read \(Is a directory\)"):
        read_picture(folder / "d.png")
    Image.fromarray(GREY.astype(np.uint16)).save(folder / "deep.png")
    with pytest.raises(UserError, match=r"^there is the image .*deep.png of pixel mode I;16"):
        read_picture(folder / "deep.png")
