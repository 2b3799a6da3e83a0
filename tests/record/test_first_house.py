"""Run folders that the first house wrote (format 1; `first_house/` holds two of them) are read by every command.

They are runs of `backbone=tiny fit.epochs=1 fit.batch_size=64`, made by that version and not by this one; `last/` is left out.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import peftlab
from peftlab.backbone.timm.model import created
from peftlab.command.export import main as export
from peftlab.command.predict import main as predict
from peftlab.command.sweep import main as sweep
from peftlab.config.file import read_config
from peftlab.errors import UserError

FOLDER = Path(__file__).parent / "first_house"
# of the first house's own `peftlab.load`, on `images()`
LOGITS = {
    "bitfit": [24.8061371, 24.8002968, 24.7979202, 24.804163, 24.7883625,
               24.7572899, 24.7938995, 24.7988396, 24.8079948, 24.7989693],
    "hlpt": [24.6440659, 24.6775322, 24.6792812, 24.668808, 24.6681023,
             24.6124363, 24.6501675, 24.662302, 24.69907, 24.6941528],
}  # fmt: skip


def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 32, 32), dtype=np.float32))


@pytest.fixture(autouse=True)
def _its_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random backbone of the machine that wrote them: erfinv has other last bits on other processors."""

    def then(*given: Any) -> nn.Module:
        model = created(*given)
        model.load_state_dict(load_file(FOLDER.parent / "first_house_backbone.safetensors"))
        return model

    monkeypatch.setattr("peftlab.backbone.timm.model.created", then)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy, since a report and an export are written beside what is read."""
    return Path(shutil.copytree(FOLDER, tmp_path / "old"))


@pytest.mark.parametrize("name", LOGITS)
def test_the_logits_are_those_of_the_version_that_trained_it(name: str) -> None:
    with torch.no_grad():
        logits = peftlab.load(FOLDER / name)(images())[0]
    assert logits.tolist() == pytest.approx(LOGITS[name], rel=1e-6)


@pytest.mark.parametrize("name", LOGITS)
def test_they_are_exported_and_predict(old: Path, tmp_path: Path, name: str) -> None:
    assert export([str(old / name), "--to", "adapter"]) == 0
    exported = old / name / "export_adapter"
    assert yaml.safe_load((exported / "config.yaml").read_text())["format"] == 2
    with torch.no_grad():
        torch.testing.assert_close(peftlab.load(exported)(images())[0], torch.tensor(LOGITS[name]))
    Image.fromarray(np.full((8, 8, 3), 90, dtype=np.uint8)).save(tmp_path / "one.png")
    assert predict([str(old / name), str(tmp_path / "one.png"), "--csv", str(tmp_path / "out.csv")]) == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 6


def test_a_sweep_folder_with_runs_of_both_formats(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = Path(shutil.copytree(old / "bitfit", old / "lora"))
    result = json.loads((new / "result.json").read_text())
    (new / "result.json").write_text(json.dumps({"format": 2, **result, "run_id": "another"}))
    status = json.loads((new / "status.json").read_text())
    (new / "status.json").write_text(json.dumps({**status, "choices": {**status["choices"], "peft": "lora"}}))
    assert sweep([str(old)]) == 0
    rows = (old / "sweep.csv").read_text().splitlines()
    assert len(rows) == 4
    assert {row.partition(",")[0] for row in rows[1:]} == {"bitfit", "hlpt", "lora"}
    capsys.readouterr()
    (new / "result.json").write_text(json.dumps({"format": 3, **result}))
    with pytest.raises(SystemExit) as stop:
        sweep([str(old)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"peftlab-sweep: {new} has format=3, which another, newer peftlab wrote; legal"
    )


def test_what_a_newer_peftlab_wrote_is_one_sentence(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = old / "bitfit"
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({"format": 3, **config}))
    with pytest.raises(UserError, match="has format=3, which another, newer peftlab wrote"):
        peftlab.load(run)
    with pytest.raises(SystemExit) as stop:
        export([str(run), "--to", "adapter"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"peftlab-export: {run} has format=3")


def test_the_samples_are_as_they_were_written() -> None:
    for name in LOGITS:
        saved = yaml.safe_load((FOLDER / name / "config.yaml").read_text())
        assert "format" not in saved
        assert saved["backbone"]["_target_"] == "peftlab.backbone.timm_model.timm_model"
        assert read_config(FOLDER / name)["backbone"]["_target_"] == "peftlab.backbone.timm.model.timm_model"
