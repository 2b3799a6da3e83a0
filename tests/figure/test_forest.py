"""Forest plots: whole intervals, one colour a family, the line at the reference."""

from math import nan
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from peftlab.figure import forest as figure
from peftlab.figure import picture
from peftlab.figure.forest import Row, Words, draw_forest

ROWS = [
    Row("probe", "head only", ((30.0, 20.0, 40.0),), "0"),
    Row("lora", "low-rank", ((50.0, -80.0, 180.0),), "7"),
    Row("full", "selective", ((40.0, nan, nan),), "9"),
    Row("dora", "low-rank", ((45.0, 44.0, 46.0),), "8"),
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    figures, save = [], picture.save
    monkeypatch.setattr(figure, "save", lambda fig, path: figures.append(fig) or save(fig, path))
    return figures


def test_rows_stand_by_family_with_whole_intervals(tmp_path: Path, drawn: list[Figure]) -> None:
    paths = [tmp_path / "f.png", tmp_path / "f.svg"]
    assert draw_forest(ROWS, "probe", Words("t", ("x",), "trained"), *paths) == paths
    (axes,) = drawn[0].axes
    labels = {
        tick.get_text(): (y, tick.get_color())
        for tick, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    order = ["head only", "probe", "low-rank", "lora", "dora", "selective", "full"]
    assert sorted(labels, key=lambda name: labels[name][0]) == order
    bars = {
        line.get_ydata()[0]: line
        for line in axes.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] != 0
    }
    assert list(bars[labels["lora"][0]].get_xdata()) == [-80, 180]
    assert labels["full"][0] not in bars  # no interval is known
    low, high = axes.get_xlim()
    assert (low < -80, high > 180) == (True, True)
    assert bars[labels["lora"][0]].get_color() == bars[labels["dora"][0]].get_color() == labels["low-rank"][1]
    (line,) = [line for line in axes.lines if list(line.get_ydata()) == [0, 1]]
    assert list(line.get_xdata()) == [30, 30]
    assert [text.get_text() for text in axes.texts] == ["trained", "0", "7", "8", "9"]


def test_the_committed_pictures_are_drawn_from_the_rows_beside_them() -> None:
    import csv

    results = Path(__file__).parents[2] / "docs" / "results"
    for name in ("methods", "methods_cifar"):
        rows = list(csv.DictReader((results / f"{name}.csv").read_text().splitlines()))
        table = (results / "methods.md").read_text()
        assert len(rows) == 29
        assert all(f"| {row['method']} | {int(row['trained']):,} | {row['mean']} " in table for row in rows)
