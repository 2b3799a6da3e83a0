"""Confusion matrices: numbers and tips of few classes, colours alone of many."""

from pathlib import Path

import numpy as np
import pytest

from peftlab.figure.confusion import NUMBERED, Matrix, draw_confusion

WORDS = ("title", "note")


def test_numbers_and_tips_of_few_classes(tmp_path: Path) -> None:
    value = np.array([[90.0, 10.0, 0.0], [0.2, 99.8, 0.0], [np.nan] * 3])
    change = Matrix("less", np.array([[-5.0, 5.0, 0.0], [0.0, 0.0, 0.0], [np.nan] * 3]), differences=True)
    paths = [tmp_path / f"a.{end}" for end in ("svg", "png", "pdf")]
    assert (
        draw_confusion([Matrix("own", value), change], ["cat", "dog", "a very long name"], WORDS, *paths)
        == paths
    )
    svg = paths[0].read_text()
    assert "<title>cat taken for dog: 10.0 %</title>" in svg
    assert "<title>cat taken for dog: +5.0 points</title>" in svg
    assert "dog taken for cat" not in svg, "it would be a 0"
    assert svg.count("<title>") == 3 + 2


@pytest.mark.parametrize("num", [NUMBERED, NUMBERED + 1])
def test_many_classes_have_no_numbers(tmp_path: Path, num: int) -> None:
    draw_confusion(
        [Matrix("own", 100 * np.eye(num))], [f"c{i}" for i in range(num)], WORDS, tmp_path / "a.svg"
    )
    svg = (tmp_path / "a.svg").read_text()
    assert f'width="{num}" height="{num}"' in svg, (
        "a pixel for each cell, which a page shows with sharp edges"
    )
    assert "image-rendering:pixelated" in svg
    assert svg.count("<title>") == (num if num <= NUMBERED else 0)
    assert ("c3</text>" in svg) == (num <= NUMBERED)
