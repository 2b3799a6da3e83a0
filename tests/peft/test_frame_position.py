"""A position of each frame: the same for all its tokens, none at the start, and no more frames than it has."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.frame_position import FramePosition
from peftlab.peft.view import View


def made(frames=4):
    return FramePosition(View(6, 6), torch.Generator(), frames=frames)


def test_every_token_of_a_frame_gets_the_same():
    delta = made()
    read = torch.randn(2, 3, 5, 6)
    assert not delta(read).any()
    with torch.no_grad():
        delta.P.copy_(torch.randn(4, 6))
    found = delta(read)
    for frame in range(3):
        assert torch.equal(found[:, frame], delta.P[frame].expand(2, 5, 6))


def test_clips_of_more_frames_are_refused():
    with pytest.raises(
        UserError, match="positions of 4 frames, and the clips have 5; legal: clips of at most 4"
    ):
        made()(torch.randn(2, 5, 3, 6))
