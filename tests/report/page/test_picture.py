"""SVGs that stand in one page."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from peftlab.figure.heat_map import Panel, Words, heat_map
from peftlab.report.page.picture import inline


@pytest.fixture(scope="module")
def svg(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("svg") / "map.svg"
    value = np.array([[0.0, 1.0], [2.0, np.nan]])
    tips = [["q in 0: 0 <b> \"x\" & 'y'", "b"], ["c", "d"]]
    heat_map([Panel("tail $x$", value, tips=tips)], ["q", "v"], ["0", "1"], Words("t", "r", "c"), path)
    return path.read_text()


def test_an_svg_by_itself_has_tips_as_titles_and_text_as_text(svg: str) -> None:
    root = ET.fromstring(svg)
    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["q in 0: 0 <b> \"x\" & 'y'", "b", "c", "d"]
    assert "tail $x$" in [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_names_of_two_pictures_do_not_meet(svg: str) -> None:
    shown, sheet = inline({"a": (svg, "first"), "b": (svg, 'second "<')})
    ids = [re.findall(r' id="([^"]*)"', picture) for picture in shown.values()]
    assert ids[0], "there is a clip path at least"
    assert not set(ids[0]) & set(ids[1])
    for picture in shown.values():
        root = ET.fromstring(picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
        there = {node.get("id") for node in root.iter()}
        used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", picture))
        assert used <= there
        assert len(list(root.iter("{http://www.w3.org/2000/svg}title"))) == 4
        used_classes = set(re.findall(r'class="(s\d+)"', picture))
        assert used_classes <= set(re.findall(r"\.(s\d+) \{", sheet))
    assert 'aria-label="second &quot;&lt;"' in shown["b"]


def test_it_follows_the_page_and_is_small(svg: str) -> None:
    shown, sheet = inline({"a": (svg, "first")})
    text = shown["a"] + sheet
    assert "#000000" not in text
    assert "currentColor" in text
    assert "font-family" not in text
    assert "#010101" in text, "ink on a cell of its own colour stays"
    assert len(text) < 0.75 * len(svg)


def test_nothing_that_is_drawn_is_lost(svg: str) -> None:
    (picture, _), kinds = (inline({"a": (svg, "first")})), ("path", "use", "text", "image")
    for kind in kinds:
        assert picture["a"].count(f"<{kind} ") == svg.count(f"<{kind} "), kind


def test_numbers_that_are_said_keep_their_digits(tmp_path: Path) -> None:
    """Places are rounded, labels and tips are not: 0.157 is no 0.1."""
    path = tmp_path / "map.svg"
    value = np.array([[0.157, 0.25]])
    panel = Panel("share 1.234", value, tips=[["q in 0: 0.157", "q in 1: 0.25"]])
    heat_map([panel], ["q"], ["0", "1"], Words("t 2.345", "r", "c"), path)
    before, after = (
        re.findall(r">([^<>]*\d[^<>]*)</(?:text|title)>", text)
        for text in (path.read_text(), inline({"a": (path.read_text(), "x")})[0]["a"])
    )
    assert "q in 0: 0.157" in after
    assert "t 2.345" in after
    assert [" ".join(text.split()) for text in before] == [" ".join(text.split()) for text in after]
