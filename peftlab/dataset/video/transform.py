"""From videos to the backbone's input `clips`."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from peftlab.dataset.image.crop import centre_crop, random_resized_crop, side_crops
from peftlab.dataset.image.transform import Crop
from peftlab.dataset.video.sampling import Sampling
from peftlab.dataset.video.videos import Video
from peftlab.inputs.clip import CLIPS
from peftlab.inputs.image import InputSpec

Augment = Literal["random_resized_crop", "none"]


@dataclass(frozen=True)
class ClipTransform:
    """Frames, then one crop for all frames of a clip, then (pixels / 255 - mean) / std.

    `num_clips` of each video, spread over it; None is one that is drawn. Several clips, or several crops of one, are views.
    """

    sampling: Sampling
    num_clips: int | None
    crop: Crop
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    text: str

    def __call__(
        self, videos: list[Video], generators: Iterable[torch.Generator] = (), /
    ) -> dict[str, Float[Tensor, "b *v t 3 size size"]]:
        """`generators` gives one generator per video, from which alone its random numbers come."""
        own = list(generators)
        if self.num_clips is None:
            chosen = [
                [self.sampling.drawn(video.num_frames, rng)] for video, rng in zip(videos, own, strict=True)
            ]
        else:
            chosen = [self.sampling.spread(video.num_frames, self.num_clips) for video in videos]
        read = [_read(video, clips) for video, clips in zip(videos, chosen, strict=True)]
        stacked = [clip for clips in read for clip in clips]
        is_even = len({clip.shape for clip in stacked}) == 1
        cropped = self.crop(torch.stack(stacked) if is_even else stacked, own)
        pixels = cropped.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        size, num_frames = pixels.shape[-1], self.sampling.frames
        clips = pixels.view(
            len(videos), -1, num_frames, 3, size, size
        )  # views of a video one behind the other
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        clips = clips.sub_(mean).div_(std)
        return {CLIPS: clips.squeeze(1) if clips.shape[1] == 1 else clips}


def eval_transform(spec: InputSpec, sampling: Sampling, num_clips: int, num_crops: int) -> ClipTransform:
    """Clips that are spread over the video, without randomness: the middle of each, or its two ends along the longer side, too."""
    given: dict[str, Any] = {"size": spec.size, "interpolation": spec.interpolation}
    if num_crops == 1:
        crop: Crop = partial(centre_crop, **given, crop_pct=spec.crop_pct)
        text = f"centre_crop(size={spec.size}, crop_pct={spec.crop_pct}, {spec.interpolation})"
    else:
        crop = partial(side_crops, **given)
        text = f"side_crops(size={spec.size}, {spec.interpolation})"
    return ClipTransform(
        sampling,
        num_clips,
        crop,
        spec.mean,
        spec.std,
        f"{num_clips} x {sampling.text} -> {text} -> {_values(spec)}",
    )


def views_transform(
    spec: InputSpec, sampling: Sampling, num_clips: int, num_crops: int
) -> ClipTransform | None:
    """The same where there are several of them; None if there is one."""
    return None if num_clips == num_crops == 1 else eval_transform(spec, sampling, num_clips, num_crops)


def train_transform(
    spec: InputSpec, sampling: Sampling, *, augment: Augment, crop_scale: tuple[float, float], flip: bool
) -> ClipTransform:
    """One clip that is drawn from the video, with one random crop for its frames or the evaluation's."""
    if augment == "none":
        plain = eval_transform(spec, sampling, 1, 1)
        text = plain.text.removeprefix("1 x ")
        return ClipTransform(sampling, None, plain.crop, spec.mean, spec.std, f"drawn {text}")
    crop = partial(
        random_resized_crop, size=spec.size, interpolation=spec.interpolation, scale=crop_scale, flip=flip
    )
    area = f"{crop_scale[0]}-{crop_scale[1]}"
    text = f"random_resized_crop(size={spec.size}, scale={area}, {spec.interpolation})" + (
        " -> flip" if flip else ""
    )
    return ClipTransform(
        sampling, None, crop, spec.mean, spec.std, f"drawn {sampling.text} -> {text} -> {_values(spec)}"
    )


def _read(video: Video, clips: list[list[int]]) -> list[UInt8[Tensor, "c h w"]]:
    """Each clip with its frames one behind the other on the axis of channels; a frame of several clips is decoded once."""
    numbers = sorted({number for clip in clips for number in clip})
    frames = torch.from_numpy(video.read(numbers)).permute(0, 3, 1, 2)
    place = {number: at for at, number in enumerate(numbers)}
    return [frames[[place[number] for number in clip]].flatten(0, 1) for clip in clips]


def _values(spec: InputSpec) -> str:
    return f"normalise(mean={spec.mean}, std={spec.std})"
