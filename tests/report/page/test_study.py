"""Jobs of several folders side by side."""

import json
from pathlib import Path

import pytest
from fixtures.study import put_run, study_of

from peftlab.errors import UserError


def flat(folder: Path, data: str, seed: int = 0, **choices: str) -> Path:
    words = {"peft": "lora", "dataset": data, "depth": "0-2", "alpha": 1.0}
    return put_run(folder, choices, seed, {"mean_acc": 0.5}, flat=words)


def test_one_folder_is_as_its_sweep_said(tmp_path: Path) -> None:
    for depth in ("0-2", "3-5"):
        for seed in (0, 1):
            flat(tmp_path / "s", "digits_lt", seed, **{"placement.depth": depth, "backbone": "tiny"})
    study = study_of(tmp_path / "s", baseline="placement.depth=3-5")
    assert (study.keys, study.short, study.seeds) == (["placement.depth"], {"placement.depth": "depth"}, True)
    assert study.everywhere == {"backbone": "tiny"}
    assert [study.name(cell) for cell in study.cells] == ["0-2", "3-5"]
    assert study.baseline is study.cells[1]


@pytest.mark.parametrize(
    ("value", "name"), [("4", "scaling.value=4"), ("1e-3", "scaling.value=1e-3"), ("x", "x"), ("0-2", "0-2")]
)
def test_a_number_alone_has_its_key(tmp_path: Path, value: str, name: str) -> None:
    for own in (value, "other"):
        put_run(tmp_path / "s", {"scaling.value": own}, 0, {"mean_acc": 0.5})
    study = study_of(tmp_path / "s")
    assert name in map(study.name, study.cells)


def test_groups_that_nobody_typed_tell_folders_apart(tmp_path: Path) -> None:
    """The sweep of one data set typed it, the other had it by default; one typed a depth, the other had it from its YAML."""
    flat(tmp_path / "a", "digits_lt", **{"peft.rank": "4"})
    flat(tmp_path / "b", "mstar10_lt", **{"dataset": "mstar10_lt", "placement.depth": "0-2"})
    study = study_of(tmp_path / "a", tmp_path / "b")
    assert [cell.choices["dataset"] for cell in study.cells] == ["digits_lt", "mstar10_lt"]
    assert [cell.choices["placement.depth"] for cell in study.cells] == ["0-2", "0-2"]
    assert study.cells[0].choices["peft.rank"] == "4"
    assert "peft.rank" not in study.cells[1].choices, "what a record does not say stays unsaid"
    assert study.cells[0].beside is not study.cells[1].beside, "other data have an error of their own"


def test_what_a_later_multirun_of_a_folder_typed_is_filled_in_for_the_others(tmp_path: Path) -> None:
    """The run that had alpha 1 by default is that of the curve, and one that typed it is of the same cell."""
    flat(tmp_path / "s", "digits_lt", 0)
    flat(tmp_path / "s", "digits_lt", 1, **{"scaling.value": "1"})
    for alpha in ("2", "4"):
        put_run(tmp_path / "s", {"scaling.value": alpha}, 0, {"mean_acc": 0.6}, flat={"alpha": float(alpha)})
    study = study_of(tmp_path / "s")
    assert [cell.choices["scaling.value"] for cell in study.cells] == ["1", "2", "4"]
    assert [len(cell.jobs) for cell in study.cells] == [2, 1, 1]


def test_a_run_in_two_folders_counts_once_and_a_twin_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        own = flat(tmp_path / name, "digits_lt", peft="lora")
        record = json.loads((own / "result.json").read_text()) | {"run_id": "same"}
        (own / "result.json").write_text(json.dumps(record))
    assert len(study_of(tmp_path / "a", tmp_path / "b").jobs) == 1
    (own / "result.json").write_text(json.dumps({**record, "run_id": "other"}))
    with pytest.raises(UserError, match="same choices and the same seed=0"):
        study_of(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UserError, match="named twice"):
        study_of(tmp_path / "a", tmp_path / "a" / ".." / "a")


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        study_of(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no job"):
        study_of(tmp_path)
    flat(tmp_path / "s", "digits_lt", peft="lora")
    with pytest.raises(UserError, match="baseline=peft=ssf is no cell"):
        study_of(tmp_path / "s", baseline="peft=ssf")
