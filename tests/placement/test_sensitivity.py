"""placement=sensitivity against gradients by hand: q has f x^T, k twice that, v none."""

import pytest

from peftlab.errors import UserError
from peftlab.placement.sensitivity import sensitivity
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(toy, measure="own", candidates=None, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "by": "sum", "num_samples": 10, "batch_size": 4}
    given = toy.measure if measure == "own" else measure
    return sensitivity(candidates or toy.sites, ["0"], given, **{**full, **options})


@pytest.mark.parametrize(("size", "cuts"), [(10, [10]), (4, [4, 8]), (1, list(range(1, 10)))])
def test_squared_gradients_of_batches_are_summed(toy, size, cuts):
    assert list(choose(toy, batch_size=size)) == [K]
    parts = toy.gradients.tensor_split(cuts)
    by_hand = sum(part.mean(0).square().sum().item() for part in parts if len(part))
    assert toy.measure.scores == pytest.approx({Q: by_hand, K: 4 * by_hand, V: 0}, rel=1e-6)


def test_only_the_first_images_are_seen(toy):
    choose(toy, num_samples=3, batch_size=2)
    by_hand = toy.gradients[:2].mean(0).square().sum() + toy.gradients[2].square().sum()
    assert toy.measure.scores[Q] == pytest.approx(by_hand.item(), rel=1e-6)


def test_the_mean_is_over_the_weights_of_the_site(toy):
    choose(toy)
    total = dict(toy.measure.scores)
    choose(toy, by="mean")
    assert toy.measure.scores == pytest.approx({site: score / 8 for site, score in total.items()})


def test_keep_and_position(toy):
    assert list(choose(toy, keep=2)) == [Q, K]
    assert list(choose(toy, position=["q", "v"])) == [Q]
    assert set(toy.measure.scores) == {Q, K, V}
    toy.measure.scores.clear()
    choose(toy, candidates=[Q, V])
    assert set(toy.measure.scores) == {Q, V}


def test_the_order_of_candidates_does_not_matter(toy):
    first = choose(toy, keep=2)
    assert list(choose(toy, keep=2, candidates=list(reversed(toy.sites)))) == list(first)


def test_before_there_is_a_network_all_candidates_are_named(toy):
    assert list(choose(toy, measure=None, keep=2)) == toy.sites
    with pytest.raises(UserError, match=r"^placement\.keep=4 is more than the 3 sites"):
        choose(toy, measure=None, keep=4)


def test_scores_that_are_all_zero_choose_nothing(toy):
    with pytest.raises(UserError, match=r"^placement=sensitivity: every site has the score 0"):
        choose(toy, position="v")
