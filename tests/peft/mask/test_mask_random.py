"""Entries drawn at random: how many, how evenly, and from which stream."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.mask.mask_random import MaskRandom
from peftlab.peft.weights import Weight
from peftlab.site import Site

OPTIONS = {"keep_ratio": 0.2, "count_head": False, "outside_blocks": False}
A = Weight("a", (0, 1), torch.zeros(10), Site(0, "q"))
B = Weight("b", (0, 2), torch.zeros(2, 5), Site(0, "k"))
C = Weight("b", (1, 2), torch.zeros(2, 5), Site(0, "v"))


def entries(chosen):
    masks = {(weight.name, weight.slice): mask.flatten() for weight, mask in chosen}
    empty = torch.zeros(10, dtype=torch.bool)
    return torch.cat([masks.get((weight.name, weight.slice), empty) for weight in (A, B, C)])


@pytest.mark.slow
def test_exactly_k_and_every_entry_as_often_as_another(hand_made):
    """2000 draws of 6 of 30: each entry 400 times, standard deviation sqrt(2000 * 0.2 * 0.8) = 17.9."""
    weights = hand_made([A, B, C])
    draws = torch.stack([entries(MaskRandom(seed=seed, **OPTIONS).choose(weights)) for seed in range(2000)])
    assert (draws.sum(1) == 6).all()
    assert (draws.sum(0) - 400).abs().max() < 4 * 17.9


def test_the_seed_decides_and_the_gradients_play_no_part(hand_made):
    weights = hand_made([A, B, C])
    first, again, other = (entries(MaskRandom(seed=seed, **OPTIONS).choose(weights)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_smaller_placement_keeps_the_order_of_what_it_shares(hand_made):
    """The k best of two tensors are among the k best of each."""
    both = entries(MaskRandom(seed=0, **OPTIONS).choose(hand_made([A, C], num_backbone=30)))
    alone = entries(MaskRandom(seed=0, **OPTIONS).choose(hand_made([C], num_backbone=30)))
    assert not alone[:20].any()
    assert alone.sum() == both.sum() == 6
    assert (alone[20:] >= both[20:]).all()


def test_the_budget_is_checked(hand_made):
    with pytest.raises(UserError, match=r"keep_ratio=0\.2 leaves a budget of -94"):
        MaskRandom(seed=0, **{**OPTIONS, "count_head": True}).choose(hand_made([A, B, C], num_head=100))


def test_the_run_s_seed_is_the_yaml_s(composed):
    assert composed("peft=mask_random", "seed=7")["peft"]["seed"] == 7
