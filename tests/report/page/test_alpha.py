"""Accuracy over alpha: the curve, its collapse, and chance."""

from pathlib import Path

from fixtures.study import check_drawn, put_run, study_of
from fixtures.sweep import put

from peftlab.report.page.alpha import section

CLASSES = {"per_class.csv": [["class", "acc"], *[[str(name), 0.5] for name in range(4)]]}
BY_ALPHA = {"0.25": 0.5, "1": 0.7, "4": 0.6, "32": 0.25}


def sweep(folder: Path, peft: str, **by_alpha: float) -> None:
    for alpha, value in by_alpha.items():
        for seed in (0, 1):
            accuracy = {"mean_acc": value + 0.01 * seed, "tail_acc": value}
            put_run(folder, {"peft": peft, "scaling.value": alpha}, seed, accuracy, tables=CLASSES)


def test_a_curve_says_where_it_is_highest_and_where_it_falls_to_chance(tmp_path: Path) -> None:
    sweep(tmp_path / "s", "lora", **BY_ALPHA)
    sweep(tmp_path / "s", "ssf", **dict.fromkeys(BY_ALPHA, 0.6))
    put(
        tmp_path / "s" / "lost", "diverged", {"peft": "ssf", "scaling.value": "64"}, 0, result={"metrics": {}}
    )
    found = section(study_of(tmp_path / "s"))
    assert found is not None
    assert found.words == [
        "**lora**: highest mean 70.5 at alpha 1; within 1.5 times chance (25.0) from 32 on.",
        "**ssf**: highest mean 60.5 at alpha 0.25; diverged at 64.",
    ]
    svg = check_drawn(found.drawings[0], tmp_path / "out")
    assert "lora at 32: 25.5" in svg
    assert ">chance<" in svg


def test_two_values_are_no_curve_and_words_are_no_alpha(tmp_path: Path) -> None:
    sweep(tmp_path / "two", "lora", **{"0.5": 0.5, "1": 0.6})
    assert section(study_of(tmp_path / "two")) is None
    sweep(tmp_path / "words", "lora", **{"null": 0.5, "[1,2]": 0.6, "-1": 0.6, "1": 0.5, "2": 0.6})
    assert section(study_of(tmp_path / "words")) is None


def test_without_the_classes_chance_is_not_guessed(tmp_path: Path) -> None:
    for alpha in BY_ALPHA:
        put_run(tmp_path / "s", {"scaling.value": alpha}, 0, {"mean_acc": 0.01})
    found = section(study_of(tmp_path / "s"))
    assert found is not None
    assert "chance" not in found.words[0] + found.drawings[0].title
    assert ">chance<" not in check_drawn(found.drawings[0], tmp_path / "out")
