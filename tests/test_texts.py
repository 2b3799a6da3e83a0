"""A run on texts from its command line to its export: what works, and what is refused in a sentence."""

import csv
import json
import random
from pathlib import Path

import pytest
import torch

import peftlab
from peftlab.command.export import main as export
from peftlab.command.predict import main as predict

WORDS = (
    "backbone=tiny_text",
    "dataset=text_folder",
    "dataset.path=texts.csv",
    "fit.batch_size=8",
    "device=cpu",
)


@pytest.fixture
def texts(tmp_path: Path) -> None:
    """Three kinds of sentences, which begin differently."""
    rng = random.Random(0)
    rows = []
    for label, words in {"place": "where is", "time": "when was", "person": "who made"}.items():
        rows += [
            (f"{words} {''.join(rng.choices('abcdefg', k=rng.randint(2, 12)))}", label) for _ in range(30)
        ]
    with (tmp_path / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def run_of(tmp_path: Path, name: str) -> dict:
    return json.loads((tmp_path / name / "result.json").read_text())


@pytest.mark.usefixtures("texts")
def test_a_run_ends_is_read_again_and_leaves_as_an_adapter(call, tmp_path, capfd) -> None:
    done = call(*WORDS, "fit.epochs=2", "scaling=meta", "hydra.run.dir=run")
    assert done.code == 0, done.err
    assert run_of(tmp_path, "run")["metrics"]["test/mean_acc"] > 0.3
    model = peftlab.load(tmp_path / "run")
    inputs = model.network.backbone.input_spec.example()
    assert export([str(tmp_path / "run"), "--to", "adapter", "--out", str(tmp_path / "out")]) == 0
    assert "on 32 texts (text_folder, train split)" in capfd.readouterr().out
    again = peftlab.load(tmp_path / "out")
    assert torch.equal(again(**inputs), model(**inputs))
    for to in ("hf", "peft"):
        assert export([str(tmp_path / "run"), "--to", to]) == 0
        said = capfd.readouterr().out
        assert "head is none of transformers': the model gives features" in said
        assert "on 32 texts (text_folder, train split)" in said
    (tmp_path / "other.txt").write_text("who made it\nwhen was that")
    words = [str(tmp_path / "run"), "--to", "hf", "--texts", str(tmp_path / "other.txt"), "--force"]
    assert export(words) == 0
    assert f"on 2 texts ({tmp_path / 'other.txt'})" in capfd.readouterr().out


@pytest.mark.usefixtures("texts")
def test_an_interrupted_run_ends_as_if_it_had_not_been(call, tmp_path) -> None:
    for words in (
        ("hydra.run.dir=whole",),
        ("hydra.run.dir=parts", "fit.stop_after=1"),
        ("hydra.run.dir=parts",),
    ):
        assert call(*WORDS, "fit.epochs=2", *words).code == 0
    states = [peftlab.load(tmp_path / name).state() for name in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.usefixtures("texts")
def test_what_is_for_images_is_refused(call, tmp_path, capfd) -> None:
    from PIL import Image

    assert call(*WORDS, "fit.epochs=1", "hydra.run.dir=run").code == 0
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    run = str(tmp_path / "run")
    refused = (
        (
            predict,
            [run, str(tmp_path / "picture.png")],
            "gives images, and the run reads texts; legal: --text",
        ),
        (
            export,
            [run, "--to", "timm"],
            "--to timm is for networks that read images, and tiny_text reads texts",
        ),
        (export, [run, "--to", "adapter", "--images", str(tmp_path)], "is for networks that read images"),
    )
    for main, words, said in refused:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        assert said in capfd.readouterr().err


@pytest.mark.usefixtures("texts")
def test_texts_of_like_length_go_together_and_each_has_its_own_answer(call, tmp_path) -> None:
    """predictions.csv is in the order of the test split, with what the run says of each text alone."""
    from peftlab.dataset.text.texts import Columns
    from peftlab.model.load import read_run
    from peftlab.predict.texts import predict_texts

    words = (*WORDS, "fit.epochs=1", "fit.eval_batch_size=4")
    for name, more in {"plain": "false", "grouped": "true"}.items():
        done = call(*words, f"dataset.group_by_length={more}", f"hydra.run.dir={name}")
        assert done.code == 0, done.err
        trained = read_run(tmp_path / name)
        data = trained.resolved.dataset(trained.backbone.input_spec, 0)
        test = data.open_test()
        texts = [text for (text,) in test.items._texts.take(test.rows)]
        said = predict_texts(trained, Columns(texts, None), batch_size=1).probabilities.argmax(-1)
        with (tmp_path / name / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["item"]) for row in rows] == test.rows.tolist()
        assert [row["class"] for row in rows] == [data.class_names[label] for label in test.labels]
        assert [row["predicted"] for row in rows] == [data.class_names[label] for label in said]
    losses = [
        [
            json.loads(line)["train/loss"]
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
            if "train/loss" in line
        ]
        for name in ("plain", "grouped")
    ]
    assert losses[0] != losses[1]
