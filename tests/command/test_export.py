"""The command: one sentence for a wrong input; and all of it, from training to prediction."""

import json
from pathlib import Path

from peftlab.command.export import main
from peftlab.command.predict import main as predict_main


def said(capsys, *words):
    """Exit code and the one line on stderr."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code
    streams = capsys.readouterr()
    return (code, streams.out) if code == 0 else (code, streams.err.strip())


def finished(folder, state="ok"):
    folder.mkdir()
    for name in ("config.yaml", "adapter.yaml", "adapter.safetensors"):
        (folder / name).write_text("")
    (folder / "status.json").write_text(json.dumps({"state": state}))
    return folder


def test_wrong_inputs_are_one_sentence(capsys, tmp_path):
    run = finished(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("")
    cases = {
        (str(tmp_path / "gone"), "--to", "timm"): "gone is not a folder; legal: the folder of a finished run",
        (str(tmp_path), "--to", "timm"): "is not the folder of a run; legal",
        (
            str(finished(tmp_path / "half", "interrupted")),
            "--to",
            "timm",
        ): "not finished (state: interrupted); legal",
        (str(run), "--to", "onnx"): "argument --to: invalid choice: 'onnx' (choose from",
        (str(run),): "the following arguments are required: --to",
        (str(run), "--to", "timm", "--out", str(tmp_path / "mine")): "exists and is no export",
        (str(run), "--to", "timm", "--rank", "few"): "argument --rank: invalid int value: 'few'",
    }
    for words, sentence in cases.items():
        code, line = said(capsys, *words)
        assert code == 2
        assert line.startswith("peftlab-export: ")
        assert sentence in line
        assert "\n" not in line


def test_help(capsys):
    code, text = said(capsys, "--help")
    assert code == 0
    assert "--to {timm,hf,peft,adapter}" in text


def test_an_export_is_written_once_and_replaced_when_forced(capsys, run_folder):
    folder = run_folder("lora", "learned", head="linear")
    code, text = said(capsys, str(folder), "--to", "peft")
    assert code == 0
    assert "largest logit difference" in text
    assert f"written: {folder / 'export_peft'}" in text
    code, line = said(capsys, str(folder), "--to", "peft")
    assert (code, "export_peft exists; legal: --force" in line) == (2, True)
    assert said(capsys, str(folder), "--to", "peft", "--force")[0] == 0


def test_a_cosine_head_is_told(capsys, run_folder):
    code, text = said(capsys, str(run_folder("lora")), "--to", "timm")
    assert code == 0
    assert "the cosine head is no linear layer: the model gives features, and head.safetensors" in text


def test_a_method_that_cannot_leave(capsys, run_folder):
    code, line = said(capsys, str(run_folder("adaptformer")), "--to", "timm")
    assert code == 2
    assert line.startswith(
        "peftlab-export: --to timm has no place for Adapter at 0.ffn, 1.ffn (it is not linear)"
    )


def test_from_training_to_prediction(composed, capsys, tmp_path):
    """Train, export, predict: as the three commands do it, one after another."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    from peftlab.config.resolve import resolve
    from peftlab.record.record import Record
    from peftlab.run.run import run

    folder = tmp_path / "run"
    config = composed("backbone=tiny", "fit.epochs=1", "fit.batch_size=64", "scaling=learned", "device=cpu")
    record = Record(folder, {}, config)
    record.status("running")
    assert said(capsys, str(folder), "--to", "adapter")[1].endswith(
        "is the folder of a run that is not finished (state: running); legal: the folder of a finished run"
    )
    run(resolve(config), record, None)
    (tmp_path / "images").mkdir()
    for index, image in enumerate(load_digits().images[:3]):
        pixels = np.repeat(np.rint(image * 255 / 16).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(pixels).save(tmp_path / "images" / f"digit{index}.png")
    assert said(capsys, str(folder), "--to", "adapter")[0] == 0
    tables = []
    for one in (folder, folder / "export_adapter"):
        table = str(tmp_path / "out.csv")
        assert predict_main([str(one), str(tmp_path / "images"), "--csv", table, "--top", "2"]) == 0
        tables.append(Path(table).read_text())
    assert len(tables[0].splitlines()) == 7
    assert tables[0] == tables[1]
