"""The candidates of a selection, and which rows of a fused parameter are whose."""

import pytest
import torch

from peftlab.peft.weights import Weight
from peftlab.site import Site

WHOLE = torch.arange(24.0).reshape(6, 4)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_slice_is_a_third_of_the_rows_of_any_tensor_of_that_shape(index):
    weight = Weight("qkv", (index, 3), WHOLE[2 * index : 2 * index + 2], Site(0, "qkv"[index]))
    assert torch.equal(weight.of(WHOLE), weight.value)
    gradient = torch.randn(6, 4)
    assert torch.equal(weight.of(gradient), gradient[2 * index : 2 * index + 2])
    assert weight.of(gradient).data_ptr() == gradient[2 * index].data_ptr(), (
        "a view, through which one can write"
    )


def test_a_bias_is_sliced_alike_and_a_whole_parameter_is_whole():
    assert Weight("bias", (2, 3), WHOLE[0, :2], None).of(torch.arange(6)).tolist() == [4, 5]
    assert torch.equal(Weight("w", (0, 1), WHOLE, None).of(WHOLE), WHOLE)


def test_candidates_outside_the_blocks_come_last_and_by_option_only(hand_made):
    inside = [Weight(name, (0, 1), WHOLE, Site(0, "q")) for name in "ba"]
    outside = [Weight("c", (0, 1), WHOLE, None)]
    weights = hand_made(inside, outside=outside)
    assert [weight.name for weight in weights.candidates(False)] == ["b", "a"]
    assert [weight.name for weight in weights.candidates(True)] == ["b", "a", "c"]
    weights.candidates(True).clear()
    weights.candidates(False).clear()
    assert (weights.inside, weights.outside) == (inside, outside), "they are the caller's to change"
