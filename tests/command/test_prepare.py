"""peftlab-data prepare: what it makes is what `peftlab-data check` then reads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from peftlab.command.data import main


def test_resisc45_from_names_to_a_set_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing is told, with where it comes from, until nothing is."""
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    assert main(["check", "resisc45"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"peftlab-data: dataset.path=null and the set resisc45 was not found (no folder {tmp_path}/resisc45)"
    )
    assert "\nimages: NWPU-RESISC45.rar of https://" in said
    root = tmp_path / "resisc45"
    root.mkdir()
    assert main(["prepare", "resisc45"]) == 1
    said = capsys.readouterr().err
    assert f"resisc45-train.txt: there is no file {root}/resisc45-train.txt" in said
    assert "https://storage.googleapis.com" in said
    for number, split in enumerate(("train", "val", "test")):
        names = [f"{name}_{number:03d}.jpg" for name in ("lake", "airplane")]
        (root / f"resisc45-{split}.txt").write_text("\n".join(names))
        for shade, name in enumerate(names):
            file = root / "NWPU-RESISC45" / name[:-8] / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), 60 * number + 10 * shade, np.uint8)).save(file)
    assert main(["prepare", "resisc45"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"written: {root}/train.txt, 2 images of 2 classes"
    assert main(["check", "resisc45"]) == 0
    said = capsys.readouterr().out
    assert "images: train 2, val 2, test 2" in said
    (root / "NWPU-RESISC45" / "lake" / "lake_001.jpg").unlink()
    assert main(["check", "resisc45"]) == 1
    said = capsys.readouterr().err
    assert (
        f"line 1 of {root}/val.txt names lake/lake_001.jpg, and there is no file {root}/NWPU-RESISC45/lake/lake_001"
        in said
    )


def test_a_set_that_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["prepare", "digits"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(
        "peftlab-data: dataset=digits has nothing to prepare; legal: dota, eurosat, resi"
    )
