"""The table, the CSV, and one sentence for a wrong input."""

import csv

import numpy as np
import pytest
import torch
from fixtures.exported import save
from PIL import Image

import peftlab
from peftlab.command.export import main as export_main
from peftlab.command.predict import main
from peftlab.model.load import read_run

NAMES = ["cat", "dog", "ibex"]


@pytest.fixture
def run(recipe, tmp_path):
    save(tmp_path / "run", recipe("lora", "learned"), NAMES)
    return str(tmp_path / "run")


@pytest.fixture
def images(tmp_path):
    """Three images and a folder below, a file that is none, and one that only looks like one."""
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.JPG", "below/c.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def call(capsys, *words):
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code
    streams = capsys.readouterr()
    return code, streams.out, streams.err.strip()


def test_the_table_and_the_csv(capsys, run, images, tmp_path):
    code, out, err = call(capsys, run, str(images), "--csv", str(tmp_path / "out.csv"), "--top", "2")
    assert (code, err) == (0, "")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "rank", "class", "probability"]
    assert [row[0] for row in rows[1:]] == [
        str(images / name) for name in ("a.png", "b.JPG", "below/c.png") for _ in "12"
    ]
    assert [row[1] for row in rows[1:]] == ["1", "2"] * 3
    lines = out.splitlines()
    assert lines[0] == str(images / "a.png")
    assert lines[1].split() == ["1", rows[1][2], f"{float(rows[1][3]):.4f}"]
    assert len(lines) == 9
    assert not list(tmp_path.glob(".out.csv*"))


def test_the_first_is_the_argmax_and_all_sum_to_one(capsys, run, images, tmp_path):
    from peftlab.dataset.image.dataset import used_transform
    from peftlab.dataset.source.picture import read_picture

    assert call(capsys, run, str(images / "a.png"), "--csv", str(tmp_path / "out.csv"), "--top", "99")[0] == 0
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    trained = read_run(run)
    image = used_transform(trained.backbone.input_spec, trained.resolved.dataset.options)(
        [read_picture(images / "a.png")]
    )["images"]
    with torch.no_grad():
        logits = peftlab.load(run)(image)[0]
    assert [row["class"] for row in rows] == [NAMES[index] for index in logits.argsort(descending=True)]
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1, abs=1e-5)


def test_an_unreadable_file_is_a_warning(capsys, run, images):
    (images / "aa.png").write_text("broken")
    code, out, err = call(capsys, run, str(images))
    assert code == 0
    assert err.startswith("peftlab-predict: skipped: there is an unreadable image, ")
    assert "aa.png" in err
    assert len(err.splitlines()) == 1
    assert len([line for line in out.splitlines() if not line.startswith(" ")]) == 3


def test_nothing_readable_ends_with_2(capsys, run, tmp_path):
    (tmp_path / "one.png").write_text("broken")
    code, out, err = call(capsys, run, str(tmp_path / "one.png"), "--csv", str(tmp_path / "out.csv"))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith("one.png holds no image that can be read; legal: 8-bit images")
    assert not (tmp_path / "out.csv").exists()


def test_wrong_inputs_are_one_sentence(capsys, run, images, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = {
        (str(tmp_path / "gone"), str(images)): "is not a folder; legal: the folder of a finished run",
        (
            run,
            str(tmp_path / "gone"),
        ): "is neither a file nor a folder; legal: an image, or a folder of images",
        (run, str(tmp_path / "empty")): "holds no image; legal: files that end in",
        (run, str(images), "--top", "0"): "--top=0 shows no class; legal: a whole number above 0",
        (
            run,
            str(images),
            "--csv",
            str(tmp_path),
        ): "cannot be written; legal: a file in a folder that exists",
        (run, str(images), "--csv", str(tmp_path / "no" / "out.csv")): "cannot be written; legal: a file in",
        (run,): "the following arguments are required: IMAGE_OR_FOLDER",
    }
    for words, sentence in cases.items():
        code, out, err = call(capsys, *words)
        assert (code, out) == (2, "")
        assert err.startswith("peftlab-predict: ")
        assert sentence in err
        assert "\n" not in err


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_run_with_a_function_of_ones_own_needs_trust_on_the_command_line(
    capsys, recipe, own, tmp_path, images, command
):
    """Its folder says `trust: [people_own]`, and that counts for nothing."""
    config = recipe("lora", "learned", **{"peft._target_": "people_own.delta.Own"})
    save(tmp_path / "run", {**config, "trust": [own]}, NAMES)
    words = [str(tmp_path / "run")]
    words += [str(images)] if command == "predict" else ["--to", "timm", "--images", str(images)]
    commands = {"predict": main, "export": export_main}
    for wrong in ((), ("--trust", "os"), ("--trust", "people_own.delta")):
        with pytest.raises(SystemExit) as stop:
            commands[command]([*words, *wrong])
        said = capsys.readouterr().err
        assert stop.value.code == 2
        assert said.count("\n") == 1
        assert "--trust PACKAGE" in said or wrong == ("--trust", "people_own.delta")
    assert commands[command]([*words, "--trust", "os", "--trust", own]) == 0
    assert capsys.readouterr().out
