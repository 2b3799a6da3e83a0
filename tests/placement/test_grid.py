"""placement=grid is the product of its two axes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.grid import grid
from peftlab.site import LINEAR, Site


@given(st.data(), st.integers(1, 48))
def test_any_product_of_blocks_and_positions_resolves_to_exactly_it(
    data: st.DataObject, num_blocks: int
) -> None:
    blocks = data.draw(st.sets(st.integers(0, num_blocks - 1), min_size=1))
    positions = data.draw(st.sets(st.sampled_from(LINEAR), min_size=1))
    cells = grid(num_blocks, LINEAR, depth=list(blocks), position=list(positions))
    assert set(cells) == {Site(block, position) for block in blocks for position in positions}
    assert list(cells) == sorted(cells, key=lambda site: (site.block, LINEAR.index(site.position)))
    assert all(options == {} for options in cells.values())


def test_all_of_twelve_blocks_is_72_sites() -> None:
    assert len(grid(12, LINEAR, depth="all", position="all")) == 72


def test_the_cells_of_a_sweep_share_out_the_whole_grid() -> None:
    """24 cells of 3 sites each: experiment=placement_grid."""
    whole = [
        site
        for depth in ("0-2", "3-5", "6-8", "9-11")
        for position in LINEAR
        for site in grid(12, LINEAR, depth=depth, position=position)
    ]
    assert len(whole) == 72
    assert set(whole) == set(grid(12, LINEAR, depth="all", position="all"))


def test_options_of_one_site_are_not_those_of_another() -> None:
    cells = grid(2, LINEAR, depth="all", position="q")
    cells[Site(0, "q")]["rank"] = 1
    assert cells[Site(1, "q")] == {}


def test_errors_name_the_key() -> None:
    with pytest.raises(UserError, match=r"^placement\.depth=12 is outside the backbone"):
        grid(12, LINEAR, depth=12, position="q")
    with pytest.raises(UserError, match=r"^placement\.position=ffn is not a position"):
        grid(12, LINEAR, depth="all", position=["q", "ffn"])
