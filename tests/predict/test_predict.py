"""Probabilities of files equal those of the data set's own images."""

import json

import numpy as np
import pytest
import torch
from fixtures.exported import save
from PIL import Image

from peftlab.dataset.batches import EvalBatches
from peftlab.model.load import read_run
from peftlab.predict.predict import predict


def run_folder(folder, config):
    """A finished run with random weights."""
    save(folder, config, list("0123456789"))
    (folder / "status.json").write_text(json.dumps({"state": "ok"}))
    return folder


@pytest.fixture
def run(recipe, tmp_path):
    return lambda method="lora", **keys: read_run(run_folder(tmp_path / "run", recipe(method, **keys)))


def write_images(folder, split, count):
    folder.mkdir(exist_ok=True)
    files = []
    for index, picture in enumerate(split.items.take(split.rows[:count])):
        files.append(folder / f"{index:02}.png")
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(files[-1])
    return files


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"dataset.standardise": True},
        {"dataset.views": "ten_crop", "dataset.views_expand": 4},
        {"dataset.views": "random_resized_crop", "dataset.views_num": 10},
        {"dataset.mean": [0.1, 0.2, 0.3], "dataset.interpolation": "nearest"},
    ],
)
def test_files_get_the_run_s_evaluation_transform(run, tmp_path, keys):
    trained = run(**keys)
    data = trained.resolved.dataset(trained.backbone.input_spec, 0)
    files = write_images(tmp_path / "images", data.train, 5)
    with torch.no_grad():
        images = (
            EvalBatches(data.train, data.tested_transform, batch_size=5, num_workers=0)
            .batch(0)
            .inputs["images"]
        )
        views = images.unbind(1) if images.ndim == 5 else [images]
        assert len(views) == (10 if "dataset.views" in keys else 1)
        logits = torch.stack([trained.model(view).double() for view in views]).mean(0)
        wanted = torch.softmax(logits, -1).float()
    answers = list(predict(trained, files, batch_size=2))
    assert [answer.file for answer in answers] == files
    torch.testing.assert_close(
        torch.stack([answer.probabilities for answer in answers]), wanted, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("method", ["vpt_deep", "bitfit", "unipelt", "dylora", "gated_prompt"])
def test_every_kind_of_method(run, tmp_path, method):
    trained = run(method)
    Image.fromarray(np.full((20, 30, 3), 99, dtype=np.uint8)).save(tmp_path / "one.jpg")
    (answer,) = predict(trained, [tmp_path / "one.jpg"], batch_size=8)
    assert answer.probabilities.sum().item() == pytest.approx(1)


def test_files_that_cannot_be_read_keep_their_place(run, tmp_path):
    trained = run()
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    names = ["bad.png", "good.png", "bad.png", "bad.png", "good.png"]
    answers = list(predict(trained, [tmp_path / name for name in names], batch_size=2))
    assert [answer.file.name for answer in answers] == names
    assert [answer.probabilities is None for answer in answers] == [name == "bad.png" for name in names]
    assert all("unreadable image" in answer.error for answer in answers if answer.error)
    assert torch.equal(answers[1].probabilities, answers[4].probabilities)
