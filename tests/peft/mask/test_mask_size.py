"""How many entries a mask trains."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.mask.mask_size import mask_size
from peftlab.peft.weights import Weight


@pytest.fixture
def weights(hand_made):
    return lambda num, num_head=0: hand_made([Weight("w", (0, 1), torch.zeros(num), None)], num_head=num_head)


@pytest.mark.parametrize(
    ("ratio", "count_head", "k"),
    [(0.005, False, 5), (0.0059, False, 5), (0.29, False, 290), (1, False, 1000), (0.29, True, 282)],
)
def test_the_floor_of_the_written_ratio_less_the_head(weights, ratio, count_head, k):
    """As floats, 0.29 * 100 is 28.999999999999996."""
    assert mask_size(weights(1000, 8), 1000, keep_ratio=ratio, count_head=count_head) == k
    assert mask_size(weights(100), 100, keep_ratio=0.29, count_head=True) == 29


def test_vit_base_at_half_a_percent(hand_made):
    """methods.md 2.9: about 429 thousand with the head."""
    weights = hand_made([], num_backbone=85_798_656, num_head=100 * 769)
    assert mask_size(weights, 85_798_656, keep_ratio=0.005, count_head=False) == 428_993
    assert mask_size(weights, 85_798_656, keep_ratio=0.005, count_head=True) == 428_993 - 76_900


@pytest.mark.parametrize(
    ("ratio", "available", "smallest", "text", "legal"),
    [
        (
            0.005,
            1000,
            1,
            r"keep_ratio=0.005 leaves a budget of -3 of 1000 weights \(the head's 8 are counted\)",
            0.009,
        ),
        (0, 1000, 1, "leaves a budget of -8 .* the smallest mask has 1", 0.009),
        (0.05, 1000, 50, "leaves a budget of 42 .* the smallest mask has 50", 0.058),
        (0.5, 77, 1, "leaves a budget of 492 .* the placement holds 77", 0.085),
    ],
)
def test_an_illegal_budget_names_the_nearest_legal_ratio(weights, ratio, available, smallest, text, legal):
    with pytest.raises(UserError, match=rf"{text}.*; legal: {legal} or (above|below)$"):
        mask_size(weights(1000, 8), available, smallest, keep_ratio=ratio, count_head=True)
    assert mask_size(weights(1000, 8), available, smallest, keep_ratio=legal, count_head=True) in (
        1,
        smallest,
        available,
    )


def test_a_legal_ratio_is_rounded_to_the_legal_side(weights):
    with pytest.raises(UserError, match=r"legal: 0.00143 or above$"):  # 1 / 700 = 0.0014285...
        mask_size(weights(700), 700, keep_ratio=0.001, count_head=False)
    assert mask_size(weights(700), 700, keep_ratio=0.00143, count_head=False) == 1
    with pytest.raises(UserError, match=r"legal: 0.00285 or below$"):  # 2 / 700 = 0.0028571...
        mask_size(weights(700), 2, keep_ratio=0.5, count_head=False)


def test_a_placement_without_candidates(weights):
    with pytest.raises(
        UserError, match="the placement holds none of the weights that this mask chooses from"
    ):
        mask_size(weights(700), 0, keep_ratio=0.5, count_head=False)
