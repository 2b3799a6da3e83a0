"""The section of classes: known answers, known numbers."""

from pathlib import Path
from typing import Any

import pytest
from fixtures.study import check_drawn, put_run, study_of

from peftlab.report.page import classes
from peftlab.report.page.classes import section

HEAD = ["class", "group", "train_num", "val_num", "test_num", "acc"]
ANSWERS = {  # true class -> what its ten test items are taken for
    "base": {"cat": "cccccccccd", "dog": "ddddddcccc", "emu": "cccccccccc"},
    "good": {"cat": "cccccccccc", "dog": "ddddddddcc", "emu": "eeeeeddddd"},
}
NAMES = {"c": "cat", "d": "dog", "e": "emu"}
TRAIN = {"cat": ("head", 40), "dog": ("medium", 10), "emu": ("tail", 2)}


def put_cell(folder: Path, name: str, seeds: int = 2, **choices: str) -> None:
    for seed in range(seeds):
        accs = {true: said.count(true[0]) / 10 for true, said in ANSWERS[name].items()}
        rows: list[Any] = [HEAD, *([true, *TRAIN[true], 1, 10, acc] for true, acc in accs.items())]
        said = [[true, NAMES[letter]] for true, letters in ANSWERS[name].items() for letter in letters]
        answers = [["item", "class", "predicted"], *([item, *pair] for item, pair in enumerate(said))]
        tables = {"per_class.csv": rows, "predictions.csv": answers}
        put_run(
            folder,
            {"peft": name, **choices},
            seed,
            {"mean_acc": sum(accs.values()) / 3 + 0.01 * seed},
            tables=tables,
        )


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for name in ANSWERS:
        put_cell(tmp_path / "sweep", name)
    return tmp_path / "sweep"


def test_baseline_and_best_by_class(sweep: Path) -> None:
    found = section(study_of(sweep))
    assert found is not None
    by_class, worst = found.tables
    heads = [
        "class",
        "group",
        "training items",
        "validation items",
        "base (baseline) (%)",
        "good (best) (%)",
    ]
    assert [column.head for column in by_class.columns] == [*heads, "difference (points)"]
    assert [[entry.text for entry in row] for row in by_class.rows] == [
        ["cat", "head", "40", "1", "90.0", "100.0", "+10.0"],
        ["dog", "medium", "10", "1", "60.0", "80.0", "+20.0"],
        ["emu", "tail", "2", "1", "0.0", "50.0", "+50.0"],
    ]
    assert [[entry.text for entry in row] for row in worst.rows] == [
        ["emu", "tail", "dog", "medium", "10", "50.0"],
        ["dog", "medium", "cat", "head", "4", "20.0"],
    ]
    assert "is 1.00 over 3 classes; 1 of them have no right answer in any run (emu)." in found.words[0]
    assert "each has a right answer" in found.words[1]
    assert found.words[2].startswith("Of the errors of good (best), 100 % take an item for a class with more")


def test_pictures(sweep: Path, tmp_path: Path) -> None:
    found = section(study_of(sweep))
    assert found is not None
    frequency, confusion = found.drawings
    svg = check_drawn(frequency, tmp_path)
    assert "<title>base (baseline), dog, 10 items: 60.0</title>" in svg
    assert "<title>good (best), mean of tail: 50.0</title>" in svg
    svg = check_drawn(confusion, tmp_path)
    assert "<title>emu taken for dog: 50.0 %</title>" in svg
    assert "<title>emu taken for cat: -100.0 points</title>" in svg


def test_the_baseline_alone_and_too_many_classes(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(sweep, baseline="peft=good")
    monkeypatch.setattr(classes, "ROWS", 2)
    found = section(study)
    assert found is not None
    assert [column.name for column in found.tables[0].columns[4:]] == ["good (baseline)"]
    assert len(found.tables[0].rows) == 2
    assert "the 2 of 3 classes" in found.tables[0].note
    assert [drawing.name for drawing in found.drawings] == ["class-frequency"]
    put_run(tmp_path / "other", {"x": 1}, 0, {"mean_acc": 0.5})
    assert section(study_of(tmp_path / "other")) is None


def test_of_several_data_sets_that_of_the_baseline(tmp_path: Path) -> None:
    put_cell(tmp_path / "sweep", "base", dataset="zoo")
    put_cell(tmp_path / "sweep", "good", dataset="farm")
    found = section(study_of(tmp_path / "sweep", baseline="dataset=zoo"))
    assert found is not None
    assert found.words[0] == "The classes of zoo, the baseline's data set."
    assert [column.name for column in found.tables[0].columns[4:]] == ["base zoo (baseline)"], (
        "good has other images"
    )


def test_where_all_classes_have_as_many_items_nothing_is_said_of_their_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in TRAIN:
        monkeypatch.setitem(TRAIN, name, ("all", 7))
    for name in ANSWERS:
        put_cell(tmp_path / "even", name)
    found = section(study_of(tmp_path / "even"))
    assert found is not None
    assert "class-frequency" not in {drawing.name for drawing in found.drawings}
    assert found.words == [
        "**base (baseline)**: 3 classes with as many training items each; 1 of them have no right answer in any run (emu).",
        "**good (best)**: 3 classes with as many training items each; each has a right answer.",
    ]
