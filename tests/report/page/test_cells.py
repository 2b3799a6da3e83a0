"""The tables of cells, the summary, and the table of runs."""

from pathlib import Path

import pytest
from fixtures.grid import CROSSED, made
from fixtures.study import put_run, study_of
from fixtures.sweep import put

from peftlab.report.page import cells, runs, summary


def test_means_and_differences_are_those_of_cells_csv(tmp_path: Path) -> None:
    study = study_of(made(tmp_path / "s", CROSSED, 4))
    means, differences = cells.section(study).tables
    assert [column.head for column in means.columns[:4]] == ["depth", "position", "mean (%)", "n"]
    for cell, row in zip(study.cells, means.rows, strict=True):
        mean, half, num = cell.mean("mean_acc")
        assert (row[2].value, row[2].high - row[2].value) == (
            pytest.approx(100 * mean),
            pytest.approx(100 * half),
        )
        assert row[2].text == f"{100 * mean:.1f} ±{100 * half:.1f}"
        assert row[3].value == num == 4
    assert differences.rows[0][2].text == "baseline"
    for cell, row in list(zip(study.cells, differences.rows, strict=True))[1:]:
        mean, half, _ = cell.difference(study.baseline, "mean_acc")
        assert row[2].value == pytest.approx(100 * mean)
        assert row[2].low == pytest.approx(100 * (mean - half))
        assert row[3].value == pytest.approx(cell.p_value(study.baseline, "mean_acc"))
        assert row[4].value >= row[3].value, "q of all is not below p of one"


def test_states_stand_where_there_is_no_number(tmp_path: Path) -> None:
    put_run(tmp_path / "s", {"peft": "lora"}, 0, {"mean_acc": 0.5})
    put(tmp_path / "s" / "b", "failed", {"peft": "ssf"}, 0, error="no room")
    put(
        tmp_path / "s" / "c",
        "diverged",
        {"peft": "ia3"},
        0,
        result={"metrics": {"test/mean_acc": 0.1}, "headline": ["mean_acc"]},
    )
    study = study_of(tmp_path / "s")
    means = cells.section(study).tables[0]
    assert [row[1].text for row in means.rows] == ["failed", "diverged", "50.0"]
    found = summary.section(study)
    assert (
        found.words[0] == "**3 runs** of 3 cells: 1 ok, 1 diverged, 1 failed; finished runs of a cell: n = 1."
    )
    table = runs.section(study)
    assert table is not None
    assert [[entry.text for entry in row[:4]] for row in table.tables[0].rows] == [
        ["b", "ssf", "0", "failed"],
        ["c", "ia3", "0", "diverged"],
        ["lora-0", "lora", "0", "ok"],
    ]
    assert [row[0].link for row in table.tables[0].rows] == ["../s/b/", "../s/c/", "../s/lora-0/"]


def test_the_summary_names_the_highest_and_how_many_cannot_be_told_from_it(tmp_path: Path) -> None:
    study = study_of(made(tmp_path / "s", CROSSED, 8))
    words = summary.section(study).words
    (best,) = [word for word in words if word.startswith("**Highest mean**")]
    assert best.startswith("**Highest mean**: 9-11 mlp1, 7")
    assert "to 0-2 mlp1; 1 of 12 cells cannot be told from the best" in best
    assert any("chosen on validation" in word for word in words)


def test_cells_of_several_data_sets_are_compared_on_their_own(tmp_path: Path) -> None:
    """The best of each, and differences to the baseline's like there; 90 % of one data set is no better than 50 % of another."""
    means = {("a", "lora"): 0.9, ("a", "ssf"): 0.8, ("b", "lora"): 0.4, ("b", "ssf"): 0.5, ("c", "ssf"): 0.7}
    for (data, peft), mean in means.items():
        for seed in (0, 1, 2):
            put_run(
                tmp_path / "s", {"dataset": data, "peft": peft}, seed, {"mean_acc": mean + 0.01 * seed**2}
            )
    study = study_of(tmp_path / "s", baseline="dataset=a,peft=lora")
    said = [line for line in summary.section(study).words if "Highest" in line]
    assert [line.partition(",")[0] for line in said] == [
        "On a: **Highest mean**: a lora",
        "On b: **Highest mean**: b ssf",
    ]
    assert "to b lora" in said[1]
    table = cells.section(study).tables[1]
    assert table.title == "Differences to a lora, and on other data to its like there"
    found = {(row[0].text, row[1].text): row[2].text.partition(" ")[0] for row in table.rows}
    assert found == {
        ("a", "lora"): "baseline",
        ("a", "ssf"): "-10.0",
        ("b", "lora"): "baseline",
        ("b", "ssf"): "+10.0",
        ("c", "ssf"): "",
    }


def test_runs_that_failed_say_why_and_nothing_is_compared(tmp_path: Path) -> None:
    for peft in ("lora", "ssf"):
        put(tmp_path / "s" / peft, "failed", {"peft": peft}, 0, error="out of <memory>\nsecond line")
    study = study_of(tmp_path / "s")
    (table,) = runs.section(study).tables
    assert [column.name for column in table.columns[:5]] == ["run", "peft", "seed", "state", "why"]
    assert [[entry.text for entry in row[3:5]] for row in table.rows] == [["failed", "out of <memory>"]] * 2
    assert len(cells.section(study).tables) == 1, "no differences"
    assert not [line for line in summary.section(study).words if "ighest" in line]


def test_a_race_that_left_one_cell_has_no_highest(tmp_path: Path) -> None:
    put_run(tmp_path / "s", {"peft": "lora"}, 0, {"mean_acc": 0.5})
    put(tmp_path / "s" / "b", "stopped", {"peft": "ssf"}, 0)
    said = summary.section(study_of(tmp_path / "s")).words
    assert "**The only cell with a mean**: lora, 50.0." in said
    assert not [line for line in said if "ighest" in line]


def test_the_set_of_best_cells_is_of_a_grid_that_has_every_cell(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", CROSSED, 3)
    (line,) = [line for line in summary.section(study_of(folder)).words if "**Highest mean**" in line]
    assert "1 of 12 cells cannot be told from the best" in line
    for seed in (0, 1, 2):
        choices = {"placement.depth": "0-2", "placement.position": "q", "scaling.value": 2}
        put_run(folder, choices, seed, {"mean_acc": 0.9})
    (line,) = [line for line in summary.section(study_of(folder)).words if "**Highest mean**" in line]
    assert "0-2 q 2" in line
    assert "cannot be told" not in line, "the best is no cell of the grid"
