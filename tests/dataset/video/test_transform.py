"""From videos to clips: the frames that were sampled, one crop for all of them, values, views."""

import numpy as np
import pytest
import torch

from peftlab.dataset.image.transform import eval_transform as picture_transform
from peftlab.dataset.video.sampling import Sampling
from peftlab.dataset.video.transform import eval_transform, train_transform, views_transform
from peftlab.dataset.video.videos import Video
from peftlab.stream import generator

UNIFORM = Sampling(4, "uniform", None)


def video(seed, length=16, height=24, width=32):
    """Noise, no frame like another; it may be asked for frames that it has, each once."""
    frames = np.random.default_rng(seed).integers(0, 256, (length, height, width, 3), dtype=np.uint8)

    def read(numbers):
        assert list(numbers) == sorted(set(numbers))
        return frames[list(numbers)]

    return Video(length, read), frames


@pytest.fixture(params=[((24, 32), (24, 32)), ((24, 32), (30, 20))])
def videos(request):
    """Of one size, or of two."""
    return [video(seed, 16 + seed, *size) for seed, size in enumerate(request.param)]


def test_a_clip_in_evaluation_is_its_frames_each_as_a_picture(spec, videos):
    found = eval_transform(spec, UNIFORM, 1, 1)([one for one, _ in videos])["clips"]
    assert found.shape == (2, 4, 3, 16, 16)
    for place, (one, frames) in enumerate(videos):
        (numbers,) = UNIFORM.spread(one.num_frames, 1)
        pictures = torch.from_numpy(frames[numbers]).permute(0, 3, 1, 2)
        expected = picture_transform(spec, standardise=False)(pictures)["images"]
        torch.testing.assert_close(found[place], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
def test_all_frames_of_a_training_clip_have_one_crop(spec, flip):
    """Of a video in which nothing moves all frames come out alike; the crop is another for another generator."""
    _, frames = video(0)
    still = Video(9, lambda numbers: frames[[0] * len(numbers)])
    transform = train_transform(
        spec, UNIFORM, augment="random_resized_crop", crop_scale=(0.2, 0.6), flip=flip
    )
    found = transform([still, still], [generator(0, "a"), generator(0, "b")])["clips"]
    assert (found == found[:, :1]).all()
    assert not torch.equal(found[0], found[1])


def test_only_what_may_be_mirrored_is(spec):
    """Bright on the left: a crop keeps that side, a mirrored one does not."""
    frames = np.zeros((4, 24, 32, 3), dtype=np.uint8)
    frames[:, :, :16] = 255
    bright = Video(4, lambda numbers: frames[list(numbers)])
    for flip in (False, True):
        transform = train_transform(
            spec, UNIFORM, augment="random_resized_crop", crop_scale=(0.99, 1.0), flip=flip
        )
        found = transform([bright] * 20, [generator(0, str(n)) for n in range(20)])["clips"]
        is_left = found[..., :5].mean((1, 2, 3, 4)) > found[..., -5:].mean((1, 2, 3, 4))
        assert is_left.all() == (not flip)


def test_an_item_becomes_the_same_clip_alone_and_among_others(spec, videos):
    for augment in ("random_resized_crop", "none"):
        transform = train_transform(spec, UNIFORM, augment=augment, crop_scale=(0.3, 1.0), flip=True)
        given = [one for one, _ in videos]
        together = transform(given, (generator(0, place) for place in range(2)))["clips"]
        for place in range(2):
            alone = transform(given[place : place + 1], [generator(0, place)])["clips"]
            torch.testing.assert_close(alone[0], together[place], rtol=0, atol=1e-6)
        assert len(transform.text.splitlines()) == 1


@pytest.mark.parametrize(("num_clips", "num_crops"), [(2, 1), (1, 3), (2, 3)])
def test_several_clips_and_crops_of_a_video_are_views(spec, videos, num_clips, num_crops):
    given = [one for one, _ in videos]
    found = eval_transform(spec, UNIFORM, num_clips, num_crops)(given)["clips"]
    assert found.shape == (2, num_clips * num_crops, 4, 3, 16, 16)
    assert len(torch.unique(found.flatten(2), dim=1)[0]) == num_clips * num_crops
    assert views_transform(spec, UNIFORM, 1, 1) is None
    if num_crops == 1:
        for number in range(num_clips):
            assert torch.equal(
                found[:, number],
                torch.cat(
                    [_only(spec, one, UNIFORM.spread(one.num_frames, num_clips)[number]) for one in given]
                ),
            )


def _only(spec, one, numbers):
    """The clip of these frames."""
    own = Video(4, lambda places: one.read(numbers)[list(places)])
    return eval_transform(spec, UNIFORM, 1, 1)([own])["clips"]


def test_crops_at_the_two_ends_and_in_the_middle_of_the_longer_side(spec):
    frames = np.zeros((4, 16, 48, 3), dtype=np.uint8)
    for part, value in enumerate((0, 100, 200)):
        frames[:, :, 16 * part : 16 * part + 16] = value
    for own in (frames, frames.transpose(0, 2, 1, 3)):
        wide = Video(4, lambda numbers, own=own: own[list(numbers)])
        found = eval_transform(spec, UNIFORM, 1, 3)([wide])["clips"][0]
        mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
        for view, value in zip(found, (0, 100, 200), strict=True):
            torch.testing.assert_close(view, ((value / 255 - mean) / std).expand_as(view), rtol=0, atol=1e-6)
