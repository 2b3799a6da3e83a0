"""The whole search space as a placement."""

import pytest

from peftlab.errors import UserError
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.supernet import supernet
from peftlab.site import Site

SITES = [Site(0, "q"), Site(0, "ffn"), Site(1, "q")]
GROUND = Ground(["0", "1"], ["q", "ffn"], SITES)


def test_all_candidates_are_placed_as_the_method_has_them():
    placed = supernet(GROUND, widths=[1, 5], depths=[0.5, 1.0])
    assert placed == Placement({site: {} for site in SITES})
    assert list(placed.cells) == SITES


@pytest.mark.parametrize(
    ("widths", "depths", "sentence"),
    [
        ([], [1.0], r"placement\.widths=\[\] is not legal; legal: at least one number, ascending, above 0"),
        ([5, 1], [1.0], r"placement\.widths=\[5, 1\] is not legal"),
        ([1, 1], [1.0], r"placement\.widths=\[1, 1\] is not legal"),
        ([1], [0.0, 1.0], r"placement\.depths=\[0\.0, 1\.0\] is not legal"),
        ([1], [1.0, 0.5], r"placement\.depths=\[1\.0, 0\.5\] is not legal"),
    ],
)
def test_choices_ascend_from_above_zero(widths, depths, sentence):
    with pytest.raises(UserError, match=f"^{sentence}"):
        supernet(GROUND, widths=widths, depths=depths)
