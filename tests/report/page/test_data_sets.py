"""The section of several data sets: known runs, known aggregates."""

from pathlib import Path

import pytest
from fixtures.study import check_drawn, put_run, study_of

from peftlab.report.page.data_sets import section

SCORES = {  # method -> data set -> accuracy of seeds 0 and 1
    "lora": {"digits": (0.5, 0.6), "mstar": (0.2, 0.3)},
    "ssf": {"digits": (0.7, 0.8), "mstar": (0.25, 0.35)},
}


def put_all(folder: Path) -> Path:
    for method, own in SCORES.items():
        for data, values in own.items():
            for seed, value in enumerate(values):
                choices = {"peft": method, "dataset": data, "dataset.path": f"/data/{data}"}
                put_run(
                    folder,
                    {key: text.replace("/", "") for key, text in choices.items()},
                    seed,
                    {"mean_acc": value},
                )
    return folder


def test_methods_by_data_set_and_all_at_once(tmp_path: Path) -> None:
    found = section(study_of(put_all(tmp_path / "sweep")))
    assert found is not None
    by_data, across = found.tables
    assert [column.head for column in by_data.columns] == ["method", "digits (%)", "mstar (%)"], (
        "a path is no method"
    )
    assert [[entry.text.split(" ")[0] for entry in row] for row in by_data.rows] == [
        ["lora", "55.0", "25.0"],
        ["ssf", "75.0", "30.0"],
    ]
    lora, ssf = across.rows
    assert lora[1].value == pytest.approx(40.0), "the middle two of 20, 30, 50, 60"
    assert ssf[1].value == pytest.approx(52.5)
    assert lora[1].low < 40 < lora[1].high
    # digits: both above both; mstar: 25 above 20, 35 above both
    assert ssf[2].value == pytest.approx((1 + 0.75) / 2)
    assert (lora[2].text, ssf[3].text) == ("baseline", "2")
    assert "2 methods on 2 data sets (digits, mstar)." in found.words
    assert "Data sets of 2 on which the mean is above that of lora: ssf on 2." in found.words
    svg = check_drawn(found.drawings[0], tmp_path)
    assert "<title>lora</title>" in svg
    assert "<title>ssf</title>" in svg


def test_a_method_that_lacks_a_data_set_is_not_among_all(tmp_path: Path) -> None:
    folder = put_all(tmp_path / "sweep")
    put_run(
        folder, {"peft": "bitfit", "dataset": "digits", "dataset.path": "datadigits"}, 0, {"mean_acc": 0.9}
    )
    found = section(study_of(folder))
    assert found is not None
    assert {row[0].text: row[2].text for row in found.tables[0].rows}["bitfit"] == "not run"
    assert [row[0].text for row in found.tables[1].rows] == ["lora", "ssf"]
    assert "not among all at once: bitfit." in found.words[0]


def test_two_sweeps_of_one_seed_each_have_no_interval(tmp_path: Path) -> None:
    for data in ("digits", "mstar"):
        for method in ("lora", "ssf"):
            choices = {"peft": method}
            put_run(
                tmp_path / data,
                choices,
                0,
                {"mean_acc": SCORES[method][data][0]},
                flat={"dataset": data, "peft": method},
            )
    found = section(study_of(tmp_path / "digits", tmp_path / "mstar"))
    assert found is not None
    assert [row[1].text for row in found.tables[1].rows] == ["35.0", "47.5"]
    check_drawn(found.drawings[0], tmp_path)
    assert section(study_of(tmp_path / "digits")) is None


def test_what_follows_the_data_set_is_no_method(tmp_path: Path) -> None:
    for data, epochs in (("digits", "6"), ("mstar", "4")):
        for method in ("lora", "ssf"):
            choices = {"peft": method, "fit.epochs": epochs, "dataset": data}
            put_run(tmp_path / "sweep", choices, 0, {"mean_acc": SCORES[method][data][0]})
    found = section(study_of(tmp_path / "sweep"))
    assert found is not None
    assert [row[0].text for row in found.tables[0].rows] == ["lora", "ssf"]
    assert "What differs by data set, and is no method here: fit.epochs." in found.words
    for data, method in (("digits", "lora"), ("mstar", "ssf")):
        put_run(tmp_path / "apart", {"peft": method, "dataset": data}, 0, {"mean_acc": 0.5})
    found = section(study_of(tmp_path / "apart"))
    assert found is not None
    assert [row[0].text for row in found.tables[0].rows] == ["lora", "ssf"], "another method is one"
