"""The largest scores, and what scores cannot say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.ranking import check_matrices, largest, smallest
from peftlab.site import LINEAR, POSITIONS, Site

SITES = st.builds(Site, st.integers(0, 11), st.sampled_from(LINEAR))


@given(st.dictionaries(SITES, st.floats(0, 10).filter(bool), min_size=1), st.data())
def test_nothing_left_out_scores_more_than_what_is_kept(
    scores: dict[Site, float], data: st.DataObject
) -> None:
    keep = data.draw(st.integers(1, len(scores)))
    placed = largest(scores, keep, rule="any")
    kept = placed.cells
    assert placed.scores == scores
    assert placed.scores is not scores
    assert not placed.is_open
    assert len(kept) == keep
    assert min(scores[site] for site in kept) >= max(
        [0, *(scores[site] for site in scores if site not in kept)]
    )
    assert list(kept) == sorted(kept, key=lambda site: (site.block, POSITIONS.index(site.position)))


def test_of_equal_scores_the_lower_block_then_the_earlier_position() -> None:
    scores = {Site(1, "q"): 1.0, Site(0, "mlp2"): 1.0, Site(0, "q"): 1.0, Site(2, "q"): 2.0}
    assert list(largest(scores, 2, rule="any").cells) == [Site(0, "q"), Site(2, "q")]
    assert list(largest(scores, 3, rule="any").cells) == [Site(0, "q"), Site(0, "mlp2"), Site(2, "q")]


def test_scores_that_rank_nothing() -> None:
    with pytest.raises(UserError, match=r"^placement=sensitivity: the score of 0\.q is nan; legal: "):
        largest({Site(0, "q"): float("nan"), Site(1, "q"): 1.0}, 1, rule="sensitivity")
    with pytest.raises(UserError, match=r"^placement=sensitivity: every site has the score 0, .*head\.init"):
        largest({Site(0, "q"): 0.0, Site(1, "q"): 0.0}, 1, rule="sensitivity")
    with pytest.raises(UserError, match=r"^placement=kappa: the score of 1\.q is nan; legal: "):
        smallest({Site(0, "q"): 1.0, Site(1, "q"): float("nan")}, 1, rule="kappa")


def test_the_smallest_first_and_what_is_infinite_last() -> None:
    scores = {Site(1, "q"): 1.0, Site(0, "k"): float("inf"), Site(0, "mlp2"): 1.0, Site(2, "q"): 0.5}
    placed = smallest(scores, 2, rule="any")
    assert list(placed.cells) == [Site(0, "mlp2"), Site(2, "q")]
    assert list(placed.scores.items()) == sorted(scores.items(), key=lambda item: (item[1], item[0]))
    assert list(largest({**scores, Site(0, "k"): 0.1}, 1, rule="any").scores) == [
        *(Site(0, "mlp2"), Site(1, "q"), Site(2, "q"), Site(0, "k")),
    ]


def test_a_norm_has_no_matrix() -> None:
    check_matrices([Site(0, "q"), Site(0, "ffn"), Site(0, "kv"), Site(0, "tokens")], rule="kappa")
    with pytest.raises(
        UserError, match=r"^placement=kappa .* norm2 has none; legal: placement\.position=q, attn$"
    ):
        check_matrices([Site(0, "q"), Site(1, "q"), Site(0, "attn"), Site(0, "norm2")], rule="kappa")
    with pytest.raises(
        UserError, match=r"^placement=plop .* norm1 has none; legal: a method at linear layers"
    ):
        check_matrices([Site(0, "norm1")], rule="plop")
