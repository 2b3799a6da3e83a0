"""Heat maps: what is printed where, the ink and the hatching."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftlab.figure import heat_map as figure
from peftlab.figure import picture
from peftlab.figure.colours import BLACK
from peftlab.figure.heat_map import Panel, Words, heat_map

WORDS = Words("title", "position", "block")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved while a test runs."""
    figures, save = [], picture.save
    monkeypatch.setattr(figure, "save", lambda fig, path: figures.append(fig) or save(fig, path))
    return figures


def panel_axes(drawn: list[Figure]) -> list[Axes]:
    return [axes for axes in drawn[-1].axes if axes.get_title()]


def names(num: int) -> list[str]:
    return [str(i) for i in range(num)]


def test_every_value_stands_in_its_cell(tmp_path: Path, drawn: list[Figure]) -> None:
    value = np.arange(24.0).reshape(6, 4)
    panels = [Panel("gamma", value), Panel("share", value / 100, form=".3f")]
    heat_map(panels, names(6), ["0-2", "3-5", "6-8", "9-11"], WORDS, tmp_path / "map.png")
    first, second = panel_axes(drawn)
    for axes, form, scale in ((first, ".2f", 1), (second, ".3f", 100)):
        found = {(text.get_position()): text.get_text() for text in axes.texts}
        assert found == {(c, r): format(value[r, c] / scale, form) for r in range(6) for c in range(4)}
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0-2", "3-5", "6-8", "9-11"]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == names(6)
        assert axes.get_ylim()[0] > axes.get_ylim()[1]  # row 0 is on top
        assert np.array_equal(axes.images[0].get_array(), value / scale)


def test_marks_replace_values_and_only_a_bare_nan_is_hatched(tmp_path: Path, drawn: list[Figure]) -> None:
    value = np.array([[1.0, np.nan], [np.nan, 4.0]])
    text = [[None, "div"], [None, "4.0\n2/3"]]
    heat_map([Panel("mean", value, text)], names(2), names(2), WORDS, tmp_path / "map.png")
    (axes,) = panel_axes(drawn)
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(0, 0): "1.00", (1, 0): "div", (0, 1): "", (1, 1): "4.0\n2/3"}
    hatched = [patch.get_xy() for patch in axes.patches if patch.get_hatch()]
    assert hatched == [(-0.5, 0.5)]


@pytest.mark.parametrize("value", [np.full((1, 1), 0.7), np.full((2, 2), 0.0), np.full((2, 2), np.nan)])
def test_a_panel_without_a_range_is_drawn(tmp_path: Path, drawn: list[Figure], value: Any) -> None:
    heat_map([Panel("gamma", value)], names(len(value)), names(len(value)), WORDS, tmp_path / "map.png")
    low, high = panel_axes(drawn)[0].images[0].get_clim()
    assert low < high
    if np.isfinite(value).all():
        assert (low + high) / 2 == pytest.approx(value[0, 0])


def test_ink_contrasts_with_the_cell(tmp_path: Path, drawn: list[Figure]) -> None:
    value = np.linspace(0, 1, 12)[None]
    heat_map([Panel("gamma", value)], ["q"], names(12), WORDS, tmp_path / "map.png")
    axes = panel_axes(drawn)[0]
    colours = axes.images[0].to_rgba(value)[0]
    for column, text in enumerate(axes.texts):
        rgb = colours[column, :3]
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        ground, ink = linear @ [0.2126, 0.7152, 0.0722], {"white": 1.0, BLACK: 0.0}[text.get_color()]
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 4.5  # WCAG 2, AA


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (6, 4), (6, 12)])
def test_panels_fit_and_texts_stay_inside_their_cells(
    tmp_path: Path, drawn: list[Figure], rows: int, columns: int
) -> None:
    value = np.full((rows, columns), 88.8)
    (path,) = heat_map(
        [Panel("a", value), Panel("b", value)], names(rows), names(columns), WORDS, tmp_path / "m.png"
    )
    height, width, _ = image.imread(path).shape
    assert max(height, width) < 3000
    for axes in panel_axes(drawn):
        cell = axes.transData.transform([(0, 0), (1, 1)])
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.width < abs(cell[1, 0] - cell[0, 0])
            assert box.height < abs(cell[1, 1] - cell[0, 1])


def test_a_dollar_is_no_formula(tmp_path: Path, drawn: list[Figure]) -> None:
    words = WORDS._replace(title=r"path=$HOME/$\frac{x")
    heat_map([Panel("$a_{$", np.ones((1, 1)))], ["$q$"], ["$0$"], words, tmp_path / "map.png")
    assert drawn[-1].get_suptitle() == words.title


def test_a_long_title_is_broken_into_lines(tmp_path: Path, drawn: list[Figure]) -> None:
    title = "gamma of depth-0-2_position-q_seed-0-1a2b3c4d, " + "x" * 90
    heat_map(
        [Panel("gamma", np.ones((2, 2)))], names(2), names(2), WORDS._replace(title=title), tmp_path / "m.png"
    )
    (text,) = [text for text in drawn[-1].texts if text.get_text().startswith("gamma of")]
    box = text.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= drawn[-1].bbox.width
    assert box.y0 > panel_axes(drawn)[0].title.get_window_extent().y1


def test_the_shape_must_be_that_of_the_grid(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\['b'\] are not 2 x 3"):
        heat_map(
            [Panel("a", np.ones((2, 3))), Panel("b", np.ones((3, 2)))],
            names(2),
            names(3),
            WORDS,
            tmp_path / "m.png",
        )


def test_the_file_is_the_same_again(tmp_path: Path) -> None:
    path, panel = tmp_path / "map.png", Panel("a", np.eye(2))
    assert heat_map([panel], names(2), names(2), WORDS, path) == [path]
    first = path.read_bytes()
    heat_map([panel], names(2), names(2), WORDS, path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_the_global_state_is_left_alone(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    heat_map([Panel("a", np.eye(2))], names(2), names(2), WORDS, tmp_path / "map.png")
    assert dict(matplotlib.rcParams) == before


def test_an_svg_is_the_same_again_and_has_no_date(tmp_path: Path) -> None:
    panel = Panel("a", np.array([[1.0, -1.0]]), unit="%", differences=True, weak=np.array([[True, False]]))
    path = tmp_path / "map.svg"
    heat_map([panel], names(1), names(2), WORDS._replace(note="ring: not significant"), path)
    first = path.read_bytes()
    path.unlink()
    heat_map([panel], names(1), names(2), WORDS._replace(note="ring: not significant"), path)
    assert path.read_bytes() == first
    assert b"<svg" in first
    assert b"<dc:date>" not in first


def test_differences_are_coloured_about_0_and_weak_cells_have_a_ring(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    weak = np.array([[True, False, False]])
    panel = Panel("a", np.array([[1.0, -4.0, 2.0]]), form="+.1f", differences=True, weak=weak)
    heat_map([panel], names(1), names(3), WORDS, tmp_path / "map.png")
    (axes,) = panel_axes(drawn)
    assert axes.images[0].get_clim() == (-4, 4)
    assert [text.get_text() for text in axes.texts] == ["+1.0", "-4.0", "+2.0"]
    (ring,) = axes.lines
    assert (round(ring.get_xdata()[0]), round(ring.get_ydata()[0])) == (0, 0)


def test_panels_that_are_compared_have_one_scale(tmp_path: Path, drawn: list[Figure]) -> None:
    panels = [
        Panel(name, np.full((2, 3), value), limits=(0.0, 9.0)) for name, value in (("a", 1.0), ("b", 8.0))
    ]
    heat_map(panels, names(2), names(3), WORDS, tmp_path / "map.svg")
    assert [axes.images[0].get_clim() for axes in panel_axes(drawn)] == [(0.0, 9.0)] * 2
