"""The section of learning curves: known rows, known means and bands."""

from pathlib import Path
from typing import Any

from fixtures.study import check_drawn, put_run, study_of

from peftlab.report.page.learning import section


def put_curve(folder: Path, name: str, seed: int, accuracy: float, losses: list[float], **more: Any) -> None:
    """Two steps an epoch, whose losses are 0.1 below and above the given one."""
    rows: list[dict[str, float]] = []
    for number, loss in enumerate(losses):
        rows += [
            {"epoch": number + 0.5, "train/loss": loss - 0.1},
            {"epoch": number + 1.0, "train/loss": loss + 0.1},
        ]
        rows += [
            {"epoch": number + 1.0, "val/mean_acc": value}
            for value in more.get("val", [])[number : number + 1]
        ]
        rows += [{"epoch": number + 1.0, "outer/loss": 2.0}] * more.get("outer", False)
    put_run(folder, {"peft": name}, seed, {"mean_acc": accuracy}, rows=rows)


def test_means_bands_and_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    for seed in (0, 1):
        put_curve(folder, "lora", seed, 0.8, [2.0 + seed, 1.0], val=[0.5, 0.25 + 0.1 * seed], outer=True)
        put_curve(folder, "ssf", seed, 0.9, [1.0, 4.0], val=[0.1, 0.2])
    found = section(study_of(folder))
    assert found is not None
    (table,) = found.tables
    assert [[entry.text for entry in row] for row in table.rows] == [
        ["ssf", "0.9", "4.1", "20.0", "2", "20.0"],
        ["lora", "2.4", "1.1", "50.0", "1", "30.0"],
    ]
    assert "In 1 of 2 cells the last loss is above the first" in found.words[1]
    assert (
        "On validation 1 of 2 cells have their highest mean before their last epoch, by 20.0 at most"
        in found.words[2]
    )
    svg = check_drawn(found.drawings[0], tmp_path)
    assert svg.count("<title>ssf</title>") == 2
    assert svg.count("<title>lora</title>") == 3, "the outer loss, too"
    for label in ("train/loss", "val/mean_acc, %", "outer/loss"):
        assert f"{label}</text>" in svg


def test_many_cells_are_grey_but_for_the_best_the_baseline_and_some_between(tmp_path: Path) -> None:
    for number in range(30):
        put_curve(tmp_path / "sweep", f"m{number}", 0, 0.5 + number / 100, [2.0, 1.0])
    found = section(study_of(tmp_path / "sweep", baseline="peft=m7"))
    assert found is not None
    named = found.drawings[0].title.rpartition("in colour ")[2].split(", ")
    assert named[:2] == ["m29", "m7"]
    assert len(named) == 9
    assert [cell for cell in named[2:] if int(cell[1:]) < 10] != [], "from the lower end, too"
    assert len(found.tables[0].columns) == 3, "no validation"
    assert len(found.words) == 1
    svg = check_drawn(found.drawings[0], tmp_path)
    assert "21 more in grey" in svg


def test_runs_without_rows_have_none(tmp_path: Path) -> None:
    put_run(tmp_path / "sweep", {"x": 1}, 0, {"mean_acc": 0.5})
    assert section(study_of(tmp_path / "sweep")) is None


def test_one_epoch_is_a_point_and_says_nothing_of_earlier_ones(tmp_path: Path) -> None:
    rows = [{"epoch": 1.0, "train/loss": 1.0, "val/mean_acc": 0.5}]
    put_run(tmp_path / "s", {"peft": "lora"}, 0, {"mean_acc": 0.5}, rows=rows)
    found = section(study_of(tmp_path / "s"))
    assert found is not None
    assert not [line for line in found.words if "highest mean before" in line]
    svg = check_drawn(found.drawings[0], tmp_path)
    assert svg.count("<use ") > 2, "a marker"


def test_few_epochs_have_a_curve_of_parts_of_them(tmp_path: Path) -> None:
    for epochs, parts in ((1, 8), (3, 3), (8, 1), (10, 1)):
        folder, steps = tmp_path / str(epochs), 24
        rows = [{"epoch": step / steps, "train/loss": float(step)} for step in range(1, epochs * steps + 1)]
        put_run(folder, {"peft": "lora"}, 0, {"mean_acc": 0.5}, rows=rows)
        found = section(study_of(folder))
        assert found is not None
        of = "an epoch" if parts == 1 else f"1/{parts} of an epoch"
        assert found.words[0].endswith(f"the mean over the steps of {of}.")
        first, last = (float(entry.text) for entry in found.tables[0].rows[0][-2:])
        in_one = steps // parts
        assert first == (in_one + 1) / 2
        assert last == float(f"{epochs * steps - (in_one - 1) / 2:.3g}")


def test_runs_of_several_lengths_say_so(tmp_path: Path) -> None:
    for name, epochs in (("lora", 1), ("ssf", 10)):
        rows = [{"epoch": number / 8, "train/loss": 1.0} for number in range(1, 8 * epochs + 1)]
        put_run(tmp_path / "s", {"peft": name}, 0, {"mean_acc": 0.5}, rows=rows)
    found = section(study_of(tmp_path / "s"))
    assert found is not None
    assert found.words[0].endswith("the steps of an epoch or a part of it.")
