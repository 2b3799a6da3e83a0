"""Points by class: tips, groups, and the mean of each group."""

from pathlib import Path

import numpy as np

from peftlab.figure.points import TIPPED, Series, Words, draw_points

WORDS = Words("title", "x", "y", "note")


def test_points_and_group_means(tmp_path: Path) -> None:
    x, groups, names = np.array([40.0, 20, 3, 2]), ["head", "head", "tail", "tail"], ["a", "b", "c", "d"]
    first = Series("one", x, np.array([90.0, 70, 10, np.nan]), groups, [f"one {name}" for name in names])
    second = Series("two", x, np.array([80.0, 80, 30, 10]), groups, [f"two {name}" for name in names])
    paths = [tmp_path / f"a.{end}" for end in ("svg", "png", "pdf")]
    assert draw_points([first, second], WORDS, *paths) == paths
    svg = paths[0].read_text()
    for text in (
        "one, mean of head: 80.0",
        "one, mean of tail: 10.0",
        "two, mean of tail: 20.0",
        "two d: 10.0",
    ):
        assert f"<title>{text}</title>" in svg
    assert "one d" not in svg, "no accuracy, no point"
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_of_many_points_none_has_a_tip(tmp_path: Path) -> None:
    num = TIPPED + 1
    many = Series("many", np.arange(1.0, num + 1), np.full(num, 50.0), [""] * num, ["p"] * num)
    draw_points([many], WORDS, tmp_path / "a.svg")
    assert "<title>" not in (tmp_path / "a.svg").read_text()
