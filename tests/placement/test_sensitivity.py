"""placement=sensitivity against gradients by hand: q has f x^T, k twice that, v none."""

from dataclasses import replace

import pytest

from peftlab.errors import UserError
from peftlab.placement.ground import Placement
from peftlab.placement.sensitivity import sensitivity
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(toy, candidates=None, *, has_scorer=True, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "by": "sum", "num_samples": 10, "batch_size": 4}
    ground = replace(toy.ground, candidates=candidates or toy.sites)
    return sensitivity(ground if has_scorer else replace(ground, scorer=None), **{**full, **options})


@pytest.mark.parametrize(("size", "cuts"), [(10, [10]), (4, [4, 8]), (1, list(range(1, 10)))])
def test_squared_gradients_of_batches_are_summed(toy, size, cuts):
    placed = choose(toy, batch_size=size)
    assert placed.cells == {K: {}}
    assert not placed.is_open
    parts = toy.gradients.tensor_split(cuts)
    by_hand = sum(part.mean(0).square().sum().item() for part in parts if len(part))
    assert placed.scores == pytest.approx({Q: by_hand, K: 4 * by_hand, V: 0}, rel=1e-6)


def test_only_the_first_images_are_seen(toy):
    scores = choose(toy, num_samples=3, batch_size=2).scores
    by_hand = toy.gradients[:2].mean(0).square().sum() + toy.gradients[2].square().sum()
    assert scores[Q] == pytest.approx(by_hand.item(), rel=1e-6)


def test_the_mean_is_over_the_weights_of_the_site(toy):
    total = choose(toy).scores
    mean = choose(toy, by="mean").scores
    assert mean == pytest.approx({site: score / 8 for site, score in total.items()})


def test_keep_and_position(toy):
    assert list(choose(toy, keep=2).cells) == [Q, K]
    assert set(choose(toy, keep=2).scores) == {Q, K, V}, "also of those that were not chosen"
    assert list(choose(toy, position=["q", "v"]).cells) == [Q]
    assert set(choose(toy, position=["q", "v"]).scores) == {Q, V}
    assert set(choose(toy, candidates=[Q, V]).scores) == {Q, V}


def test_nothing_is_left_in_what_it_was_given(toy):
    """A value in, a value out: the same again, whatever was asked of the scorer in between."""
    before = dict(vars(toy.ground.scorer))
    first = choose(toy, keep=2)
    choose(toy, by="mean", position=["q", "v"], num_samples=3)
    assert choose(toy, keep=2) == first
    assert vars(toy.ground.scorer) == before
    assert toy.ground.candidates == toy.sites
    first.cells[Q]["rank"] = 3
    assert choose(toy, keep=2).cells[Q] == {}


def test_the_order_of_candidates_does_not_matter(toy):
    first = choose(toy, keep=2)
    again = choose(toy, keep=2, candidates=list(reversed(toy.sites)))
    assert list(again.cells) == list(first.cells)
    assert again.scores == first.scores


def test_before_there_is_a_network_all_candidates_are_named(toy):
    placed = choose(toy, has_scorer=False, keep=2)
    assert placed == Placement({site: {} for site in toy.sites}, is_open=True)
    assert list(placed.cells) == toy.sites
    with pytest.raises(UserError, match=r"^placement\.keep=4 is more than the 3 sites"):
        choose(toy, has_scorer=False, keep=4)


def test_scores_that_are_all_zero_choose_nothing(toy):
    with pytest.raises(UserError, match=r"^placement=sensitivity: every site has the score 0"):
        choose(toy, position="v")
