"""placement=cells: any set of sites with options of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.cells import cells
from peftlab.placement.depth import block_labels
from peftlab.placement.ground import Cells, Ground
from peftlab.site import LINEAR as EVERY
from peftlab.site import Site

VIT = ("q", "k", "v", "out", "mlp1", "gate", "mlp2")
LINEAR = tuple(name for name in EVERY if name in VIT)  # in the order of the house


def placed(labels: Sequence[str], legal: Sequence[str], **options: Any) -> Cells:
    """The cells, which are all that this placement gives: it asks nobody."""
    found = cells(Ground(labels, legal, candidates=[]), **options)
    assert found.scores == {}
    assert not found.is_open
    return found.cells


TWELVE = block_labels(12)
OPTIONS = st.dictionaries(st.sampled_from(["rank", "scale", "dropout"]), st.integers(1, 64))


@given(st.data(), st.integers(1, 48) | st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_any_legal_set_of_cells_resolves_to_exactly_that_set(
    data: st.DataObject, backbone: int | list[int]
) -> None:
    """Every site written alone, in any order, by its label or counted from the back, keeps its own options."""
    labels = block_labels(backbone)
    num_blocks = len(labels)
    sites = st.builds(Site, st.integers(0, num_blocks - 1), st.sampled_from(LINEAR))
    wanted = data.draw(st.dictionaries(sites, OPTIONS | st.none(), min_size=1))
    written: dict[str, Any] = {}
    for site, options in wanted.items():
        block = data.draw(st.sampled_from([labels[site.block], str(site.block - num_blocks)]))
        written[f"{block}.{site.position}"] = options
    found = placed(labels, LINEAR, cells=written)
    assert found == {site: options or {} for site, options in wanted.items()}
    assert list(found) == sorted(wanted, key=lambda site: (site.block, LINEAR.index(site.position)))


@given(st.data(), st.integers(1, 48), st.integers(1, 48))
def test_a_range_of_blocks_and_a_shortcut_give_each_site_the_options(
    data: st.DataObject, num_blocks: int, rank: int
) -> None:
    low = data.draw(st.integers(0, num_blocks - 1))
    high = data.draw(st.integers(low, num_blocks - 1))
    found = placed(block_labels(num_blocks), LINEAR, cells={f"{low}-{high}.attn_qv": {"rank": rank}})
    assert found == {
        Site(block, name): {"rank": rank} for block in range(low, high + 1) for name in ("q", "v")
    }
    assert len({id(options) for options in found.values()}) == len(found)  # no site shares another's dict


def test_the_example_of_the_documentation() -> None:
    found = placed(
        TWELVE, LINEAR, cells={"0-5.q": {"rank": 8}, "7.mlp1": {"rank": 4, "scale": 0.5}, "-1.all": None}
    )
    assert found[Site(7, "mlp1")] == {"rank": 4, "scale": 0.5}
    assert [site.block for site in found if site.position == "q"] == [0, 1, 2, 3, 4, 5, 11]
    assert {site.position for site in found if site.block == 11} == set(LINEAR)
    assert len(found) == 6 + 1 + 7


def test_a_fraction_has_a_dot_of_its_own() -> None:
    assert list(placed(TWELVE, LINEAR, cells={"12.5%-25%.v": {}})) == [Site(2, "v")]


def test_stage_dot_block_dot_position() -> None:
    """Only the last dot separates."""
    swin = block_labels([2, 2, 18, 2])
    found = placed(swin, LINEAR, cells={"2.10.q": {"rank": 1}, "2.1.q": {"rank": 2}, "3.attn_qv": {}})
    assert found == {
        Site(5, "q"): {"rank": 2},
        Site(14, "q"): {"rank": 1},
        **{Site(block, position): {} for block in (22, 23) for position in ("q", "v")},
    }
    with pytest.raises(UserError, match=r"^placement\.cells: 2\.18\.q: depth=2\.18 is outside the backbone"):
        placed(swin, LINEAR, cells={"2.18.q": {}})
    with pytest.raises(UserError, match=r"names the site 14\.q twice, the second time in 2\.10\.q"):
        placed(swin, LINEAR, cells={"2.q": {}, "2.10.q": {}})


def test_stage_dot_block_is_not_judged_before_the_depth_is_known() -> None:
    unknown = block_labels(None)
    assert placed(unknown, LINEAR, cells={"2.10.q": {"rank": 1}, "2.1.q": {}}) == {}
    with pytest.raises(UserError, match="position=z is not a position"):
        placed(unknown, LINEAR, cells={"2.10.z": {}})


@pytest.mark.parametrize(
    "twice", [{"0-5.q": {}, "3.q": {}}, {"11.v": {}, "-1.v": {}}, {"0.all": {}, "0.mlp2": {}}]
)
def test_a_site_named_twice_is_refused(twice: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="names the site") as error:
        placed(TWELVE, LINEAR, cells=twice)
    assert f"twice, the second time in {list(twice)[1]}" in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (None, "names no site"),
        ({}, "names no site"),
        ({"3": {}}, "has the key 3; legal: depth.position"),
        ({"q": {}}, "has the key q; legal: depth.position"),
        ({".q": {}}, "is not a depth"),
        ({"3.": {}}, "is not a position"),
        ({"3.4.q": {}}, "3.4 is not a depth"),
        ({"12.q": {}}, "blocks 0-11"),
        ({"0-12.q": {}}, "blocks 0-11"),
        ({"3.qk": {}}, "did you mean q?"),
        ({"3.q": 8}, "3.q=8 is not a mapping"),
        ({"3.q": [8]}, "is not a mapping"),
    ],
)
def test_wrong_cells_are_one_sentence(wrong: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(UserError) as error:
        placed(TWELVE, LINEAR, cells=wrong)
    assert str(error.value).startswith("placement.cells")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_cells_of_two_digit_blocks_on_the_command_line(composed: Callable[..., Any]) -> None:
    """Hydra keeps 2.10.q as the word that was written, so nothing needs quotes here."""
    given_cells = composed("placement=cells", "placement.cells={2.10.q:{rank:8},0.0-1.q:{}}")["placement"][
        "cells"
    ]
    swin = block_labels([2, 2, 18, 2])
    assert {str(site) for site in placed(swin, LINEAR, cells=given_cells)} == {
        "14.q",
        "0.q",
        "1.q",
        "2.q",
        "3.q",
    }
