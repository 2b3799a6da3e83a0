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
        (run,): "nothing is given; legal: an image or a folder of images, a file of texts, or --text TEXT",
        (
            run,
            "--text",
            "words",
        ): "--text gives texts, and the run reads images; legal: an image, or a folder of images",
        (run, "notes.TXT"): "notes.TXT gives texts, and the run reads images",
        (run, str(images), "--text", "words"): "both PATH and --text are given",
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


WORDS = ["the first of the texts", "two"]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_texts_from_the_command_line_and_from_files(capsys, text_run, tmp_path):
    run = str(text_run(classes=NAMES))
    out = tmp_path / "out.csv"
    typed = [word for text in WORDS for word in ("--text", text)]
    assert call(capsys, run, *typed, "--csv", str(out), "--top", "3")[0] == 0
    rows = rows_of(out)
    assert rows[0] == ["text", "rank", "class", "probability"]
    assert [row[0] for row in rows[1:]] == [text for text in WORDS for _ in NAMES]
    assert [sum(float(row[3]) for row in rows[1:] if row[0] == text) for text in WORDS] == pytest.approx(
        [1, 1]
    )
    (tmp_path / "new.txt").write_text("\n".join(WORDS))
    (tmp_path / "new.csv").write_text("\n".join(["id,text", *(f"0,{text}" for text in WORDS)]))
    for name in ("new.txt", "new.csv"):
        code, said, err = call(capsys, run, str(tmp_path / name), "--csv", str(out), "--top", "3")
        assert (code, err) == (0, "")
        assert said.splitlines()[0] == WORDS[0]
        assert said.splitlines()[1].split() == ["1", rows[1][2], f"{float(rows[1][3]):.4f}"]
        assert rows_of(out) == rows


def test_pairs_on_the_command_line_and_in_a_file_with_the_columns_of_training(capsys, text_run, tmp_path):
    run, out = str(text_run("dataset=rte", classes=["yes", "no"])), tmp_path / "out.csv"
    assert call(capsys, run, "--text", "one", "--pair", "two", "--csv", str(out))[0] == 0
    rows = rows_of(out)
    assert rows[0] == ["text", "pair", "rank", "class", "probability"]
    assert [row[:2] for row in rows[1:]] == [["one", "two"]] * 2
    (tmp_path / "new.csv").write_text("hypothesis,premise\ntwo,one\n")
    code, said, _ = call(capsys, run, str(tmp_path / "new.csv"), "--csv", str(out))
    assert code == 0
    assert said.splitlines()[0] == "one  |  two"
    assert rows_of(out) == rows


def test_texts_that_are_cut_are_counted_and_long_ones_are_shown_in_part(capsys, text_run, tmp_path):
    run, long = str(text_run("dataset.max_length=10")), "many words " * 30
    code, said, err = call(capsys, run, "--text", long, "--text", "one", "--csv", str(tmp_path / "out.csv"))
    assert (code, err) == (0, "peftlab-predict: 1 of 2 texts cut to 10 tokens")
    assert said.splitlines()[0] == long[:97] + "..."
    assert rows_of(tmp_path / "out.csv")[1][0] == long


def test_wrong_texts_are_one_sentence_before_the_model_is_read(capsys, text_run, tmp_path, monkeypatch):
    single, pairs = str(text_run()), str(text_run("dataset=rte"))
    (tmp_path / "a.csv").write_text("words\none\n")
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr("peftlab.model.load.read_run", None)
    cases = {
        (single, "--text", " "): "--text is empty; legal: a text",
        (pairs, "--text", "one", "--pair", ""): "--pair is empty; legal: a text",
        (single, "--text", "one", "--pair", "two"): "reads single texts; legal: no --pair",
        (pairs, "--text", "one"): "reads pairs of texts; legal: --pair TEXT for each --text",
        (pairs, "--text", "a", "--text", "b", "--pair", "c"): "--pair is given 1 times for 2 of --text",
        (single, "--pair", "two"): "nothing is given; legal: ",
        (single, str(tmp_path / "a.csv")): "line 2 of "
        f"{tmp_path}/a.csv has no column text but words; legal: the columns that the run was trained on, text",
        (
            single,
            str(tmp_path / "a.png"),
        ): "a.png gives images, and the run reads texts; legal: --text TEXT, or",
        (single, str(tmp_path / "gone.txt")): "gone.txt is no file; legal: a file that ends in",
    }
    for words, sentence in cases.items():
        code, out, err = call(capsys, *words)
        assert (code, out) == (2, "")
        assert sentence in err
        assert "\n" not in err


def test_answers_to_questions(capsys, tmp_path, monkeypatch):
    from fixtures.answers import words_of, write_answers
    from fixtures.configs import composed

    from peftlab.predict.answers import predict_answers

    words = words_of(write_answers(tmp_path / "sums"))
    save(tmp_path / "run", composed(*words, "peft=soft_prompt"), ["few", "many"])
    run, out, asked = str(tmp_path / "run"), tmp_path / "out.csv", ["1 and 2?", "two \x1b[1m lines"]
    (tmp_path / "new.csv").write_text("\n".join(["n,question", *(f"0,{one}" for one in asked)]))
    said = predict_answers(read_run(run), asked, batch_size=1)
    code, _, err = call(capsys, run, "--text", asked[0], "--text", asked[1], "--csv", str(out))
    assert (code, err) == (0, "")
    assert rows_of(out) == [["question", "said"], [asked[0], said[0]], ["two \\x1b[1m lines", said[1]]]
    monkeypatch.setattr("peftlab.predict.answers.predict_answers", lambda *_, **__: ["a\nb\x1b", ""])
    code, shown, err = call(capsys, run, str(tmp_path / "new.csv"), "--csv", str(out))
    assert (code, err) == (0, "")
    assert shown.splitlines() == [asked[0], "  a", "  b\\x1b", "two \\x1b[1m lines", "  "]
    assert [row[1] for row in rows_of(out)] == ["said", "a\nb\x1b", ""]
    monkeypatch.setattr("peftlab.model.load.read_run", None)
    (tmp_path / "text.csv").write_text("text\none\n")
    cases = {
        ("--text", "one", "--top", "2"): f"--top=2 shows classes, and {run} writes answers; legal: no --top",
        ("--text", "one", "--pair", "two"): "reads single texts; legal: no --pair",
        (str(tmp_path / "text.csv"),): "has no column question but text; legal: ",
    }
    for given, sentence in cases.items():
        code, shown, err = call(capsys, run, *given)
        assert (code, shown) == (2, "")
        assert sentence in err
