"""Sites: written, read, and in the order of every table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.site import POSITIONS, Site, parse_site, site_order

SITES = st.builds(Site, st.integers(0, 99), st.sampled_from(POSITIONS))


@given(SITES)
def test_a_site_is_read_as_it_was_written(site: Site) -> None:
    assert parse_site(str(site)) == site


def test_it_is_written_with_a_dot() -> None:
    assert str(Site(3, "q")) == f"{Site(3, 'q')}" == "3.q"


@pytest.mark.parametrize("text", ["q", "3", "a.q", "1.2.q", ""])
def test_what_is_no_site(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_site(text)


@given(SITES, SITES)
def test_from_the_bottom_up_and_in_a_block_from_left_to_right(one: Site, two: Site) -> None:
    before = (one.block, POSITIONS.index(one.position)) < (two.block, POSITIONS.index(two.position))
    assert (site_order(one) < site_order(two)) == before


def test_every_position_has_one_name() -> None:
    assert len(set(POSITIONS)) == len(POSITIONS) == 24
