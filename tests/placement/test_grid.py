"""placement=grid is the product of its two axes."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.depth import block_labels
from peftlab.placement.grid import grid
from peftlab.placement.ground import Cells, Ground
from peftlab.site import LINEAR as EVERY
from peftlab.site import Site

VIT = ("q", "k", "v", "out", "mlp1", "gate", "mlp2")
LINEAR = tuple(name for name in EVERY if name in VIT)  # in the order of the house


def placed(labels: Sequence[str], legal: Sequence[str], **options: Any) -> Cells:
    """The cells, which are all that a grid gives: it asks nobody."""
    found = grid(Ground(labels, legal, candidates=[]), **options)
    assert found.scores == {}
    assert not found.is_open
    return found.cells


@given(st.data(), st.integers(1, 48) | st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_any_product_of_blocks_and_positions_resolves_to_exactly_it(
    data: st.DataObject, backbone: int | list[int]
) -> None:
    labels = block_labels(backbone)
    blocks = data.draw(st.sets(st.integers(0, len(labels) - 1), min_size=1))
    positions = data.draw(st.sets(st.sampled_from(LINEAR), min_size=1))
    cells = placed(labels, LINEAR, depth=[labels[block] for block in blocks], position=list(positions))
    assert set(cells) == {Site(block, position) for block in blocks for position in positions}
    assert list(cells) == sorted(cells, key=lambda site: (site.block, LINEAR.index(site.position)))
    assert all(options == {} for options in cells.values())


TWELVE = block_labels(12)
PLAIN = tuple(position for position in LINEAR if position != "gate")  # of a ViT without gated MLPs


def test_all_of_twelve_blocks_is_72_sites() -> None:
    assert len(placed(TWELVE, PLAIN, depth="all", position="all")) == 72
    assert len(placed(TWELVE, LINEAR, depth="all", position="all")) == 84


def test_the_cells_of_a_sweep_share_out_the_whole_grid() -> None:
    """24 cells of 3 sites each: experiment=placement_grid."""
    whole = [
        site
        for depth in ("0-2", "3-5", "6-8", "9-11")
        for position in PLAIN
        for site in placed(TWELVE, PLAIN, depth=depth, position=position)
    ]
    assert len(whole) == 72
    assert set(whole) == set(placed(TWELVE, PLAIN, depth="all", position="all"))


def test_options_of_one_site_are_not_those_of_another() -> None:
    cells = placed(["0", "1"], LINEAR, depth="all", position="q")
    cells[Site(0, "q")]["rank"] = 1
    assert cells[Site(1, "q")] == {}


def test_errors_name_the_key() -> None:
    with pytest.raises(UserError, match=r"^placement\.depth=12 is outside the backbone"):
        placed(TWELVE, LINEAR, depth=12, position="q")
    with pytest.raises(UserError, match=r"^placement\.position=ffn is not a position"):
        placed(TWELVE, LINEAR, depth="all", position=["q", "ffn"])


def test_what_the_command_line_makes_of_stage_dot_block() -> None:
    """Hydra gives a float, a list of floats or a word."""
    swin = block_labels([2, 2, 6, 2])
    for depth, blocks in (
        (2.3, [7]),
        ([0.0, 2.5], [0, 9]),
        ("0.0-1.1", [0, 1, 2, 3]),
        (2, [4, 5, 6, 7, 8, 9]),
    ):
        assert placed(swin, LINEAR, depth=depth, position="q") == {Site(block, "q"): {} for block in blocks}


@pytest.mark.parametrize("depth", [2.3, [0.0, 2.5], "0.0-1.1", "2.3"])
def test_stage_dot_block_is_not_judged_before_the_depth_is_known(depth: float | str | list[float]) -> None:
    assert placed(block_labels(None), LINEAR, depth=depth, position="all") == {}
