"""The values against torchvision's Normalize and NumPy; the text names what acts."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from peftlab.dataset.image.transform import eval_transform, train_transform, views_transform
from peftlab.inputs.image import InputSpec
from peftlab.stream import generator


def pictures(number: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (number, 3, side, side), generator=generator(0, side), dtype=torch.uint8)


def test_evaluation_is_torchvisions(spec: InputSpec) -> None:
    images = pictures(4, 30)
    standard = v2.Compose(
        [
            v2.Resize(17, antialias=True),  # int(16 / 0.9)
            v2.CenterCrop(16),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(spec.mean, spec.std),
        ]
    )
    out = eval_transform(spec, standardise=False)(images)["images"]
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    torch.testing.assert_close(out, standard(images), rtol=0, atol=1e-6)


def test_pictures_of_several_sizes_give_the_same_values(spec: InputSpec) -> None:
    transform = eval_transform(spec, standardise=False)
    small, large = pictures(1, 16), pictures(1, 30)
    both = transform([small[0], large[0]])["images"]
    assert torch.equal(both, torch.cat([transform(one)["images"] for one in (small, large)]))


def test_views_have_the_values_of_one_picture_each(spec: InputSpec) -> None:
    """Also standardised, each by itself; a larger picture is 24 pixels larger at 224, and so in proportion."""
    for standardise in (False, True):
        transform = views_transform(spec, "five_crop", 4, None, standardise=standardise)
        assert transform is not None
        found = transform(pictures(3, 40))["images"]
        plain = replace(transform, crop=lambda views, _own: views)
        crops = transform.crop(pictures(3, 40), ())
        for place in range(5):
            torch.testing.assert_close(found[:, place], plain(crops[:, place])["images"], rtol=0, atol=1e-6)
    for size, expand in ((224, 24), (384, 41), (2, 1)):
        larger = views_transform(replace(spec, size=size), "ten_crop", None, None, standardise=False)
        assert larger is not None
        assert larger.text.startswith(f"ten_crop(size={size}, expand={expand}, ")


def test_random_views_are_those_of_training_and_of_each_picture_alone(spec: InputSpec) -> None:
    images = pictures(3, 40)
    made = views_transform(spec, "random_resized_crop", None, 4, standardise=False)
    assert made is not None
    assert made.text.startswith(f"4 x random_resized_crop(size={spec.size}, scale=0.08-1.0, ")
    found = made(images)["images"]
    assert torch.equal(found, made(list(images))["images"]), "an image has the same views at every run"
    assert torch.equal(found.flip(0), made(images.flip(0))["images"])
    rng = generator(0, "views", hashlib.sha256(images[1].numpy().tobytes()).hexdigest())
    train = train_transform(spec, augment="random_resized_crop", crop_scale=(0.08, 1.0), standardise=False)
    assert torch.equal(found[1], torch.cat([train(images[1:2], [rng])["images"] for _ in range(4)]))
    assert len({view.numpy().tobytes() for view in found[1]}) == 4
    ten = views_transform(spec, "random_resized_crop", None, None, standardise=False)
    assert ten is not None
    assert torch.equal(ten(images)["images"][:, :4], found), "more views are further ones"


def test_standardised_pictures_have_mean_0_and_std_1(spec: InputSpec) -> None:
    images = pictures(3, 16)
    images[1] //= 20
    images[2] = 77
    out = eval_transform(spec, standardise=True)(images)["images"].double().numpy()
    for picture in (0, 1):
        values = images[picture].double().numpy()
        np.testing.assert_allclose(out[picture], (values - values.mean()) / values.std(), atol=1e-5)
    assert np.abs(out[2]).max() < 1e-4


@pytest.mark.parametrize(
    ("augment", "text"),
    [
        (
            "random_resized_crop",
            "random_resized_crop(size=16, scale=0.3-0.8, bilinear) -> flip -> normalise(mean=(",
        ),
        ("pad_crop_flip", "pad_crop(size=16, pad=2, bilinear) -> flip -> normalise(mean=("),
        ("pad_crop", "pad_crop(size=16, pad=2, bilinear) -> normalise(mean=("),
        ("none", "centre_crop(size=16, crop_pct=0.9, bilinear) -> normalise(mean=("),
    ],
)
def test_text_names_what_acts(spec: InputSpec, augment: str, text: str) -> None:
    transform = train_transform(spec, augment=augment, crop_scale=(0.3, 0.8), standardise=False)
    assert transform.text.startswith(text)
    again = train_transform(spec, augment=augment, crop_scale=(0.3, 0.8), standardise=True)
    assert again.text.endswith("standardise each image")


def test_training_draws_from_the_given_generators_only(spec: InputSpec) -> None:
    images = pictures(6, 24)
    for augment in ("random_resized_crop", "pad_crop_flip", "pad_crop"):
        transform = train_transform(spec, augment=augment, crop_scale=(0.3, 0.8), standardise=False)
        outs = [
            transform(images, [generator(seed, item) for item in range(6)])["images"] for seed in (0, 0, 1)
        ]
        assert torch.equal(outs[0], outs[1])
        assert not torch.equal(outs[0], outs[2])


def test_crop_scale_and_interpolation_act(spec: InputSpec) -> None:
    images = pictures(1, 24)

    def area(scale: tuple[float, float], used: InputSpec) -> torch.Tensor:
        transform = train_transform(used, augment="random_resized_crop", crop_scale=scale, standardise=False)
        return transform(images, [generator(0)])["images"]

    assert not torch.equal(area((0.1, 0.2), spec), area((0.8, 1.0), spec))
    assert not torch.equal(area((0.1, 0.2), spec), area((0.1, 0.2), replace(spec, interpolation="bicubic")))
