"""gamma.png: every row of the table is drawn at its block and position, and what has no delta is hatched."""

import numpy as np

from peftlab.figure import heat_map as figure
from peftlab.figure.gamma import drawn_gamma, gamma_heat_map
from peftlab.site import Site


def test_rows_stand_at_their_block_and_position(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figure, "heat_map", lambda *given: drawn.append(given) or [given[4]])
    rows = [
        {"block": 1, "position": "mlp1", "gamma": 2.0, "ratio": 0.5},
        {"block": 0, "position": "q", "gamma": 1.0, "ratio": 0.25},
    ]
    path = tmp_path / "gamma.png"
    assert gamma_heat_map(rows, ("0", "1"), path) == path
    panels, positions, columns, words, _ = drawn[0]
    assert (positions, columns) == (["q", "mlp1"], ["0", "1"])  # in the order of a block
    assert words.title == f"gamma of {tmp_path.name}"
    nan = np.nan
    np.testing.assert_array_equal(panels[0].value, [[1.0, nan], [nan, 2.0]])
    np.testing.assert_array_equal(panels[1].value, [[0.25, nan], [nan, 0.5]])


def test_a_picture_that_is_there_while_it_is_read(monkeypatch):
    drawn = []
    monkeypatch.setattr(figure, "heat_map", lambda *given: drawn.append(given) or [given[4]])
    with drawn_gamma({Site(1, "v"): 2.0, Site(0, "q"): 1.0}, ("0", "1"), "gamma after step 3") as path:
        assert path.parent.is_dir()
        path.write_text("png")
    assert not path.parent.exists()
    panels, positions, columns, words, _ = drawn[0]
    assert (positions, columns, words.title) == (["q", "v"], ["0", "1"], "gamma after step 3")
    np.testing.assert_array_equal(panels[0].value, [[1.0, np.nan], [np.nan, 2.0]])
    assert len(panels) == 1
