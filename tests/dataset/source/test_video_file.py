"""One video: a folder of frames, and a file that torchcodec decodes, where that and FFmpeg are there."""

import builtins
from pathlib import Path

import numpy as np
import pytest
import torch

from peftlab.dataset.source.video_file import opened, video_contents
from peftlab.errors import UserError


def test_a_folder_is_its_pictures_in_the_order_of_their_names(tmp_path, frames_at):
    pixels = frames_at(tmp_path / "v", 12)
    (tmp_path / "v" / "notes.txt").write_text("no frame")
    video = opened(tmp_path / "v")
    assert video.num_frames == 12
    assert np.array_equal(video.read([0, 3, 11]), pixels[[0, 3, 11]])


def test_a_folder_without_frames_with_a_damaged_one_or_of_several_sizes(tmp_path, frames_at):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds .*empty, a folder without frames; legal: images$"):
        opened(tmp_path / "empty")
    frames_at(tmp_path / "v")
    (tmp_path / "v" / "00001.png").write_bytes(b"no picture")
    assert opened(tmp_path / "v").read([0, 2]).shape == (2, 12, 16, 3)
    with pytest.raises(UserError, match=r"an unreadable image, .*00001\.png"):
        opened(tmp_path / "v").read([0, 1])
    frames_at(tmp_path / "w")
    frames_at(tmp_path / "w" / "more", 1, size=(8, 8))
    with pytest.raises(UserError, match=r"holds .*w.*, whose frames are of several sizes; legal: one size"):
        opened(tmp_path / "w").read([3, 4])


def test_contents_are_all_that_is_stored(tmp_path, frames_at):
    frames_at(tmp_path / "v")
    (tmp_path / "x.avi").write_bytes(b"123")
    paths = [tmp_path / "v", tmp_path / "x.avi", tmp_path / "gone.avi"]
    contents = video_contents(paths)
    assert [len(contents.read(row)) for row in range(3)] == contents.sizes.tolist()
    assert contents.sizes.tolist()[1:] == [3, 0]
    assert contents.read(0) == b"".join(file.read_bytes() for file in sorted((tmp_path / "v").iterdir()))
    assert contents.describe(1) == str(tmp_path / "x.avi")


@pytest.fixture
def encoded(tmp_path: Path):
    """A file whose frame n has the grey level 20 n, and where something can encode it."""
    try:
        from torchcodec.encoders import VideoEncoder
    except Exception as error:  # torchcodec finds no FFmpeg
        pytest.skip(f"no torchcodec here: {type(error).__name__}")
    frames = (20 * torch.arange(10, dtype=torch.uint8))[:, None, None, None].expand(-1, 3, 32, 48)
    file = tmp_path / "grey.mp4"
    VideoEncoder(frames.contiguous(), frame_rate=10).to_file(file, crf=0)
    return file


def test_a_file_is_decoded_frame_by_frame(encoded):
    video = opened(encoded)
    assert video.num_frames == 10
    numbers = [0, 2, 7, 9]
    found = video.read(numbers)
    assert found.shape == (4, 32, 48, 3)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - 20 * np.array(numbers)[:, None, None, None]).max() <= 3


def test_a_broken_file_is_named(encoded, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(encoded.read_bytes()[:300])
    with pytest.raises(
        UserError, match=r"holds a broken video, .*broken\.mp4 \(.*\); legal: whole videos, or "
    ):
        opened(broken)


def test_without_torchcodec_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    ours = builtins.__import__

    def without(name, *more):
        if name.startswith("torchcodec"):
            raise ModuleNotFoundError("No module named 'torchcodec'")
        return ours(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "x.mp4").write_bytes(b"123")
    with pytest.raises(UserError) as error:
        opened(tmp_path / "x.mp4")
    assert str(error.value) == (
        "decoding video files needs torchcodec and the libraries of FFmpeg on this machine (ModuleNotFoundError: No module named"
        " 'torchcodec'); legal: pip install \"peftlab[video]\" and an FFmpeg of 4 to 8, or folders of frames, which need neither"
    )
