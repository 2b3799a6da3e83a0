"""What runs say of classes and items: means over runs, records without it."""

from math import isnan
from pathlib import Path

from fixtures.study import put_run, study_of

from peftlab.report.page.answers import classes_of, confusions

HEAD = ["class", "group", "train_num", "val_num", "test_num", "acc"]


def test_classes_are_means_over_runs_by_frequency(tmp_path: Path) -> None:
    for seed, acc in ((0, 0.5), (1, 0.7)):
        rows = [HEAD, ["a", "tail", 2 + seed, seed, 10, acc], ["b", "head", 90, 9, 0, None]]
        said = [["item", "class", "predicted"], [1, "a", "a"], [2, "a", "b"]]
        tables = {"per_class.csv": rows, "predictions.csv": said}
        put_run(tmp_path / "sweep", {"x": 1}, seed, {"mean_acc": acc}, tables=tables)
    (cell,) = study_of(tmp_path / "sweep").cells
    b, a = classes_of(cell).values()
    assert (a.name, a.group, a.train, a.val, a.acc) == ("a", "tail", 2.5, 0.5, 0.6)
    assert (b.name, b.train, isnan(b.acc)) == ("b", 90, True)
    assert confusions(cell) == {("a", "a"): 2, ("a", "b"): 2}


def test_older_records_and_none(tmp_path: Path) -> None:
    rows = [["class", "group", "train_num", "test_num", "acc"], ["a", "", 2, 10, 0.5]]
    put_run(tmp_path / "sweep", {"x": 1}, 0, {"mean_acc": 0.5}, tables={"per_class.csv": rows})
    put_run(
        tmp_path / "sweep",
        {"x": 2},
        0,
        {"mean_acc": 0.5},
        tables={"per_class.csv": [["word", "n"], ["a", 1]]},
    )
    first, second = study_of(tmp_path / "sweep").cells
    assert isnan(classes_of(first)["a"].val)
    assert (classes_of(second), confusions(first)) == ({}, {})
