"""Values: what a placement chooses from, and what it gives back."""

from dataclasses import FrozenInstanceError

import pytest

from peftlab.build.scorer import Scorer as Measured
from peftlab.placement.ground import Ground, Placement, Scorer
from peftlab.site import Site


def test_both_are_frozen() -> None:
    ground, placement = Ground(["0"], ["q"], [Site(0, "q")]), Placement({Site(0, "q"): {}})
    with pytest.raises(FrozenInstanceError):
        ground.scorer = None  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        placement.is_open = True  # type: ignore[misc]


def test_a_placement_that_asks_nobody_has_no_scores_and_is_not_open() -> None:
    one, two = Placement({}), Placement({})
    assert one.scores == {}
    assert one.scores is not two.scores
    assert not one.is_open


def test_what_build_measures_is_what_a_placement_may_ask() -> None:
    asked = {name for name in vars(Scorer) if not name.startswith("_")}
    assert asked == {
        *("squared_gradients", "mean_gradient_norms", "energies", "num_weights"),
        *("feature_norms", "condition_numbers", "residual_norms", "left_over"),
    }
    assert asked <= set(vars(Measured))
    assert not hasattr(Measured, "scores")
