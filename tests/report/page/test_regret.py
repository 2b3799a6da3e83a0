"""The section of selection: known validation and test, known regret."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.study import check_drawn, put_run, study_of

from peftlab.report.page.regret import section

# cell -> (validation, test) of seeds 0 and 1; b is chosen, c is best
MEAN = {"a": ((0.5, 0.3), (0.50, 0.52)), "b": ((0.9, 0.8), (0.60, 0.62)), "c": ((0.6, 0.9), (0.70, 0.72))}


def put_cells(folder: Path, *, val: bool = True, num: dict[str, int] | None = None, **choices: str) -> Path:
    for name, (vals, tests) in MEAN.items():
        for seed, (own, test) in enumerate(zip(vals, tests, strict=True)):
            rows: list[dict[str, float]] = [{"epoch": 1.0, "train/loss": 1.0}]
            more = {"val/mean_num": 30.0, "val/tail_num": 4.0, "val/num_absent": 2.0}
            rows += [{"epoch": 1.0, "val/mean_acc": own, "val/tail_acc": 0.5, **more}] * val
            metrics = {"mean_acc": test, "tail_acc": test / 2}
            tables: dict[str, Any] = {}
            if num is not None:
                head = ["class", "group", "train_num", "val_num", "test_num", "acc"]
                tables["per_class.csv"] = [
                    head,
                    *([k, "tail" if v < 2 else "head", 9, v, 5, 0.5] for k, v in num.items()),
                ]
            spent = {"seconds": {"train": 10.0}, "selected": {"by": "last"}}
            put_run(folder, {"peft": name, **choices}, seed, metrics, rows=rows, tables=tables, **spent)
    return folder


def test_regret_of_the_mean_and_of_one_seed(tmp_path: Path) -> None:
    found = section(study_of(put_cells(tmp_path / "sweep")))
    assert found is not None
    (table,) = found.tables
    mean, tail, tail_by_mean = [[entry.text for entry in row] for row in table.rows]
    # on seed 0 b is chosen, on seed 1 c
    assert mean == ["mean", "val/mean_acc", "b", "61.0", "c", "71.0", "10.0", "5.0", "10.0", "10.0", "0.50"]
    assert tail[:3] == ["tail", "val/tail_acc", "a or 2 equal"]
    assert (tail[6], tail[-1]) == ("5.0", ""), "of equals one is drawn, and nothing is ordered"
    assert tail_by_mean[:3] == ["tail", "val/mean_acc", "b"]
    assert "mean over 2 seeds): **b**, which loses 10.0 percentage points on test to c" in found.words[0]
    assert "loses 5.0 (0.0 to 10.0 over the seeds)" in found.words[1]
    assert (
        "2 classes have no validation item; 30 items in all, 4 of the tail, so that one item there is 25.0 %"
        in found.words[2]
    )


def test_scarce_classes_are_counted_where_runs_tell(tmp_path: Path) -> None:
    found = section(study_of(put_cells(tmp_path / "sweep", num={"x": 9, "y": 1, "z": 0, "w": 1})))
    assert found is not None
    assert (
        "of 4 classes, 1 have no validation item (1 of the tail) and 2 have one (2 of the tail)"
        in found.words[2]
    )


def test_without_validation_nothing_may_be_chosen(tmp_path: Path) -> None:
    found = section(study_of(put_cells(tmp_path / "sweep", val=False)))
    assert found is not None
    assert (found.tables, found.drawings) == ([], [])
    assert "**nothing may be chosen from this sweep**" in found.words[0]
    assert "`dataset.val_fraction=0.2`" in found.words[0]
    put_run(tmp_path / "alone", {"x": 1}, 0, {"mean_acc": 0.5})
    assert section(study_of(tmp_path / "alone")) is None


def test_the_curve_of_a_random_order_ends_with_the_whole_sweep(tmp_path: Path) -> None:
    found = section(study_of(put_cells(tmp_path / "sweep")))
    assert found is not None
    (drawing,) = found.drawings
    assert "<title>in a random order</title>" in check_drawn(drawing, tmp_path)


@pytest.mark.parametrize("finished", [True, False])
def test_a_race_stands_beside_it_if_all_its_cells_are_tested(tmp_path: Path, finished: bool) -> None:
    folder = put_cells(tmp_path / "sweep")
    if not finished:
        for seed in (0, 1):
            (folder / f"a-{seed}" / "result.json").unlink()
    cells = {
        f"peft={name}": {"mean": mean, "stops": stop}
        for name, mean, stop in (("a", 0.1, "x"), ("b", 0.2, None), ("c", 0.3, None))
    }
    (folder / "race.json").write_text(
        json.dumps({"rungs": [{"share": 0.25, "cells": cells}, {"share": 0.5, "cells": {}}]})
    )
    found = section(study_of(folder))
    assert found is not None
    svg = check_drawn(found.drawings[0], tmp_path)
    # 3 cells x 20 s x 0.25, when c is ahead; then two cells to their end, where b is
    for cost, lost in (("15", "0"), ("45", "10")):
        assert (f"<title>as the race did at {cost}: {lost}</title>" in svg) == finished
    assert any("1 of its cells have no number on test" in words for words in found.words) != finished


def test_each_data_set_chooses_for_itself(tmp_path: Path) -> None:
    for name in ("digits", "mstar"):
        put_cells(tmp_path / "sweep", dataset=name)
    found = section(study_of(tmp_path / "sweep"))
    assert found is not None
    assert [row[0].text for row in found.tables[0].rows] == ["digits"] * 3 + ["mstar"] * 3
    assert found.words[0].startswith("**digits**: chosen")
    assert np.count_nonzero(["Scarcity" in words for words in found.words]) == 2


def test_a_race_that_left_one_cell_says_so(tmp_path: Path) -> None:
    folder = put_cells(tmp_path / "sweep")
    for name in ("a-0", "a-1", "b-0", "b-1"):
        (folder / name / "result.json").unlink()
    (folder / "race.json").write_text("{}")
    found = section(study_of(folder))
    assert found is not None
    assert found.words[0].startswith(
        "This sweep is a race, and 2 of its cells have no number on test: no regret can be told."
    )
