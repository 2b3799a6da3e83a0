"""Frames stand one behind the other on the axis of the batch, and come back as one value for each item."""

import torch

from peftlab.inputs.clip import frames_of, mean_over_frames, num_frames_of


def test_frames_go_into_the_batch_in_order_and_their_mean_comes_out():
    clips = torch.randn(2, 4, 3, 5, 5)
    inputs = {"clips": clips, "other": torch.ones(2)}
    frames = frames_of(inputs)
    assert set(frames) == {"images", "other"}
    assert num_frames_of(inputs) == 4
    for item in range(2):
        for frame in range(4):
            assert torch.equal(frames["images"][4 * item + frame], clips[item, frame])
    values = torch.randn(8, 7, dtype=torch.float64)
    found = mean_over_frames(values, inputs)
    expected = torch.stack([values[:4].sum(0) / 4, values[4:].sum(0) / 4])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    assert mean_over_frames(torch.cat([values] * 3), inputs).shape == (6, 7)  # of three cells on one batch


def test_what_is_no_clip_stays_as_it_is():
    for inputs in ({"images": torch.randn(2, 3, 5, 5)}, {"input_ids": torch.ones(2, 4)}):
        values = torch.randn(2, 7)
        assert frames_of(inputs) is inputs
        assert mean_over_frames(values, inputs) is values
        assert num_frames_of(inputs) == 1
