"""The heat map of a sweep: what stands at which crossing, and when there is none."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.sweep import accuracy, of, put

from peftlab.report.cell import Cell, group_cells
from peftlab.report.grid import heat_grid
from peftlab.report.heat_map import MOST, heat_maps
from peftlab.report.job import read
from peftlab.report.report import write_report


def test_heat_map_positions_values_and_marks(broken: Path, drawn: dict[str, dict[str, Any]]) -> None:
    write_report(broken, baseline=None)
    call = drawn["heatmap.png"]
    assert call["rows"] == ["q", "k", "v", "out", "mlp1", "mlp2"]
    assert call["columns"] == ["0-2", "3-5", "6-8", "9-11"]
    assert "n = 1-3" in call["title"]
    special = {("q", "0-2"), ("k", "0-2"), ("v", "0-2"), ("q", "3-5"), ("k", "3-5")}
    for panel, metric in zip(call["panels"][::3], ("mean_acc", "tail_acc"), strict=True):
        assert metric.removesuffix("_acc") in panel.title
        for r, position in enumerate(call["rows"]):
            for c, depth in enumerate(call["columns"]):
                if (position, depth) not in special:
                    assert panel.value[r, c] == pytest.approx(100 * of(depth, position, metric).mean())
                    assert panel.label(r, c) == f"{panel.value[r, c]:.1f}"
        partial = 100 * of("0-2", "q", metric, (0, 1)).mean()
        assert [panel.label(r, 0) for r in range(3)] == [f"{partial:.1f}\n2/3", "fail", "div"]
        assert panel.label(0, 1) == f"{100 * accuracy('3-5', 'q', 2, metric):.1f}\n1/3"
        assert panel.label(1, 1) == ""
        assert np.isnan(panel.value[1:3, 0]).all()
        assert np.isnan(panel.value[1, 1])


def test_depths_are_ordered_by_their_real_first_block(tmp_path: Path) -> None:
    """`-3--1` is 9-11 by the sites of a finished job; a depth that never finished is ordered by its text."""
    spans = {
        "-3--1": [9, 10, 11],
        "50%-75%": [6, 7, 8],
        "[3,5]": [3, 5],
        "10": [],
        "0-11": [0, 11],
        "0-2": [0, 2],
        "-1": [],
    }
    for i, (depth, blocks) in enumerate(spans.items()):
        choices = {"placement.depth": depth, "placement.position": ("ffn", "[q,v]", "attn", "q")[i % 4]}
        record = {"metrics": {}, "sites": [{"block": b, "position": "q"} for b in blocks]}
        put(tmp_path / f"job{i}", "ok" if blocks else "failed", choices, 0, result=record if blocks else None)
    row, column, _ = heat_grid(group_cells(read(tmp_path)))
    assert column == ["0-2", "0-11", "[3,5]", "50%-75%", "-3--1", "10", "-1"]
    assert row == ["q", "attn", "ffn", "[q,v]"]


def test_further_choices_get_a_picture_each(tmp_path: Path, drawn: dict[str, dict[str, Any]]) -> None:
    for value in ("1", "10/3"):
        for depth in ("0", "1"):
            choices = {
                "placement.depth": depth,
                "placement.position": "q",
                "scaling.value": value,
                "peft": "lora",
            }
            record = {"metrics": {"test/mean_acc": float(depth) + float(value[0]) / 10}}
            put(tmp_path / f"{depth}{value[0:2]}", "ok", choices, 0, result=record)
    report = write_report(tmp_path, baseline=None)
    assert len(drawn) == 4
    vectors = {name.replace(".png", ".svg") for name in drawn}
    assert {file.name for file in report.files} == {"sweep.csv", "table.md", *drawn, *vectors}
    values = [call for name, call in drawn.items() if "-difference" not in name]
    assert [call["title"].split(", ")[1] for call in values] == [
        "scaling.value=1",
        "scaling.value=10/3",
    ]
    assert [call["panels"][0].value for call in values] == [pytest.approx(np.array([[10, 110]]))] * 2
    assert all("/" not in name and name.startswith("heatmap-scaling.value=1") for name in drawn)


@pytest.mark.parametrize(
    "choices",
    [
        [{"a": "1"}, {"a": "2"}],
        [{"placement.depth": "0"}, {"placement.depth": "1"}],
        [{"placement.depth": "0", "placement.position": "q"}] * 2,
    ],
)
def test_no_heat_map_without_a_grid(
    tmp_path: Path, drawn: dict[str, Any], choices: list[dict[str, str]]
) -> None:
    for seed, choice in enumerate(choices):
        put(tmp_path / str(seed), "ok", choice, seed, result={"metrics": {}})
    write_report(tmp_path, baseline=None)
    assert not drawn


def test_a_crossing_without_a_cell_is_empty(tmp_path: Path, drawn: dict[str, dict[str, Any]]) -> None:
    for depth, position in (("0", "q"), ("1", "k")):
        choices = {"placement.depth": depth, "placement.position": position}
        put(tmp_path / depth, "ok", choices, 0, result={"metrics": {"test/mean_acc": 0.25}})
    cells = group_cells(read(tmp_path))
    assert heat_grid(cells) == (["q", "k"], ["0", "1"], [[cells[0], None], [None, cells[1]]])
    assert heat_maps(tmp_path, cells) == [tmp_path / "heatmap.png", tmp_path / "heatmap.svg"]
    panel = drawn["heatmap.png"]["panels"][0]
    np.testing.assert_array_equal(panel.value, [[25, np.nan], [np.nan, 25]])
    assert [[panel.label(row, column) for column in (0, 1)] for row in (0, 1)] == [["25.0", ""], ["", "25.0"]]


@pytest.mark.parametrize(
    ("state", "mark"),
    [
        ("failed", "fail"),
        ("interrupted", "int"),
        ("running", "run"),
        ("stopped", "stp"),
        ("diverged", "div"),
        ("missing", ""),
    ],
)
def test_a_cell_that_was_never_measured_is_marked(
    tmp_path: Path, drawn: dict[str, dict[str, Any]], state: str, mark: str
) -> None:
    for depth in ("0", "1"):
        choices = {"placement.depth": depth, "placement.position": "q"}
        # a diverged run has metrics, and none of them is shown
        put(tmp_path / depth, state, choices, 0, result={"metrics": {"test/mean_acc": 0.01}})
    heat_maps(tmp_path, group_cells(read(tmp_path)))
    panel = drawn["heatmap.png"]["panels"][0]
    assert [panel.label(0, column) for column in (0, 1)] == [mark, mark]
    assert np.isnan(panel.value).all()
    assert drawn["heatmap.png"]["title"] == "Placement grid, seeds per cell: n = 0"


def test_choices_that_no_file_name_can_hold_get_files_of_their_own(
    tmp_path: Path, drawn: dict[str, dict[str, Any]]
) -> None:
    rest = ["a/b", "a:b", "x" * 300, "x" * 301]
    cells = [
        Cell({"placement.depth": depth, "placement.position": "q", "peft": name}, [])
        for name in rest
        for depth in ("0", "1")
    ]
    files = heat_maps(tmp_path, cells)
    assert len({file.name for file in files}) == 2 * len(drawn) == 8
    assert all(file.parent == tmp_path and len(file.name) < 120 for file in files)
    assert all(file.name.startswith("heatmap-peft=a_b-") for file in files[:4])
    assert heat_maps(tmp_path, cells) == files  # a name depends on nothing else


def test_a_depth_without_a_number_that_never_finished_stands_last() -> None:
    cells = [Cell({"placement.depth": depth, "placement.position": "q"}, []) for depth in ("null", "11", "0")]
    assert heat_grid(cells)[1] == ["0", "11", "null"]


def test_differences_to_the_baseline_are_paired_and_what_is_not_significant_is_marked(
    broken: Path, drawn: dict[str, dict[str, Any]]
) -> None:
    write_report(broken, baseline="placement.depth=9-11,placement.position=mlp2")
    call = drawn["heatmap-difference.png"]
    assert "difference to placement.depth=9-11,placement.position=mlp2" in call["title"]
    assert "(Benjamini-Hochberg), n = 1-3" in call["note"]
    with (broken / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    share = {(row["placement.depth"], row["placement.position"]): row["mean_acc_diff_q"] for row in rows}
    panel = call["panels"][0]
    assert (panel.differences, panel.unit) == (True, "percentage points")
    row, column = call["rows"].index("mlp2"), call["columns"].index("9-11")
    assert (panel.label(row, column), panel.value[row, column], panel.weak[row, column]) == ("base", 0, False)
    for r, position in enumerate(call["rows"][3:], 3):
        for c, depth in enumerate(call["columns"]):
            if (r, c) == (row, column):
                continue
            own = of(depth, position, "mean_acc") - of("9-11", "mlp2", "mean_acc")
            assert panel.value[r, c] == pytest.approx(100 * own.mean())
            assert panel.label(r, c) == f"{100 * own.mean():+.1f}"
            assert panel.weak[r, c] == (float(share[depth, position]) >= 0.05)
    assert [panel.label(r, 0) for r in (1, 2)] == ["fail", "div"]
    assert panel.weak[call["rows"].index("q"), 1]  # one common seed: a difference, by the error of all cells


def test_a_baseline_without_a_number_has_no_differences(broken: Path, drawn: dict[str, Any]) -> None:
    write_report(broken, baseline="placement.depth=0-2,placement.position=k")
    assert list(drawn) == ["heatmap.png"]


def test_only_the_first_grids_of_many_are_drawn_and_the_report_says_so(
    tmp_path: Path, drawn: dict[str, dict[str, Any]]
) -> None:
    for number in range(MOST + 1):
        for depth in ("0", "1"):
            choices = {"placement.depth": depth, "placement.position": "q", "peft.rank": str(number)}
            put(
                tmp_path / f"{number:02}{depth}", "ok", choices, 0, result={"metrics": {"test/mean_acc": 0.5}}
            )
    report = write_report(tmp_path, baseline=None)
    assert sum("-difference" not in name for name in drawn) == MOST
    assert report.notes == [
        f"heat maps: the first {MOST} of {MOST + 1} combinations of further choices; the table of the cells has all"
    ]


def test_the_task_names_the_metrics(tmp_path: Path, drawn: dict[str, dict[str, Any]]) -> None:
    """A second task's headline, whose numbers are no accuracies and are shown as they are."""
    for depth, value in (("0", 12.25), ("1", 8.5)):
        choices = {"placement.depth": depth, "placement.position": "q"}
        record = {
            "headline": ["perplexity", "exact_acc"],
            "metrics": {"test/perplexity": value, "test/exact_acc": 0.5},
        }
        put(tmp_path / depth, "ok", choices, 0, result=record)
    write_report(tmp_path, baseline=None)
    panels = drawn["heatmap.png"]["panels"]
    assert [panel.title for panel in panels] == ["perplexity (test)", "exact accuracy (test, %)"]
    assert [panels[0].label(0, 0), panels[1].label(0, 0)] == ["12.2", "50.0"]
    head, _, first, _ = (tmp_path / "table.md").read_text().splitlines()
    assert head == "| depth | trained | perplexity | exact | n | step ms | MiB |"
    assert first == "| 0 |  | 12.2 | 50.0 | 1 |  |  |"
