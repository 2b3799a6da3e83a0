"""The images of the comparison are the run's own, and none of them is a test image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from peftlab.errors import UserError
from peftlab.export.images import NUM_IMAGES, real_images


def dataset_of(run):
    return run.resolved.dataset(run.backbone.input_spec, run.resolved.seed)


def rows(found, split, transform):
    """Which items of a split these are."""
    own = transform(split.items.take(split.rows))["images"]
    return [
        next((index for index, image in enumerate(own) if torch.equal(image, one)), None) for one in found
    ]


@pytest.mark.parametrize(("keys", "name"), [({}, "train"), ({"dataset.val_fraction": 0.3}, "val")])
def test_they_are_spread_over_validation_or_else_training(perturbed, monkeypatch, keys, name):
    run = perturbed("lora", **keys).run

    def closed():
        raise AssertionError("the test split was opened")

    with monkeypatch.context() as patch:
        target = "peftlab.dataset.image.dataset.image_dataset"
        assert run.resolved.dataset.target == target
        make = run.resolved.dataset.function
        patch.setattr(target, lambda *given, **own: replace(make(*given, **own), open_test=closed))
        found = real_images(run, None)
    split = getattr(dataset_of(run), name)
    assert found.source == f"digits_lt, {name} split"
    assert found.inputs["images"].shape == (NUM_IMAGES, 3, 32, 32)
    found_rows = rows(found.inputs["images"], split, dataset_of(run).eval_transform)
    assert found_rows == sorted(found_rows)
    assert (found_rows[0], found_rows[-1]) == (0, len(split) - 1)


def test_other_images_get_the_run_s_own_transform(perturbed, tmp_path):
    run = perturbed("lora", **{"dataset.standardise": True}).run
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    found = real_images(run, str(tmp_path))
    assert found.source == str(tmp_path)
    assert found.inputs["images"].shape == (2, 3, 32, 32)
    assert found.inputs["images"].mean(dim=(1, 2, 3)).abs().max() < 1e-5  # standardised


def test_data_that_is_gone_since_the_run(perturbed, tmp_path):
    (tmp_path / "gone").mkdir()
    source = {
        "_target_": "peftlab.dataset.source.image_folder.image_folder",
        "test_fraction": 0.5,
        "follow_links": False,
    }
    run = perturbed("lora", **{"dataset.source": source, "dataset.path": str(tmp_path / "gone")}).run
    (tmp_path / "gone").rmdir()
    with pytest.raises(
        UserError, match=r"gone is not a folder; legal: .*; any other images are given with --images"
    ):
        real_images(run, None)
