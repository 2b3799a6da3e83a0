"""Sums over images of squared and absolute gradients."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.mask.gradient_score import gradient_score
from peftlab.peft.weights import Weight

FIRST, SECOND = torch.tensor([[1.0, -2.0], [3.0, 0.0]]), torch.tensor([[-1.0, 1.0], [0.5, 0.0]])


def whole(value):
    return Weight("w", (0, 1), value, None)


def test_squares_are_taken_image_by_image():
    gradients = [{"w": FIRST}, {"w": SECOND}]
    (fisher,) = gradient_score([whole(FIRST)], iter(gradients), "fisher")
    assert torch.equal(fisher, torch.tensor([[2.0, 5.0], [9.25, 0.0]]))  # not (g1 + g2)^2
    (magnitude,) = gradient_score([whole(FIRST)], iter(gradients), "magnitude")
    assert torch.equal(magnitude, torch.tensor([[2.0, 3.0], [3.5, 0.0]]))


def test_a_part_of_a_fused_matrix_reads_its_own_rows():
    candidates = [Weight("w", (1, 2), FIRST[1:], None), Weight("w", (0, 2), FIRST[:1], None)]
    second, first = gradient_score(candidates, [{"w": FIRST}], "fisher")
    assert torch.equal(second, torch.tensor([[9.0, 0.0]]))
    assert torch.equal(first, torch.tensor([[1.0, 4.0]]))


def test_the_gradients_that_are_given_are_left_alone():
    gradient = FIRST.clone()
    gradient_score([whole(FIRST)], [{"w": gradient}], "fisher")
    assert torch.equal(gradient, FIRST)


def test_gradients_of_zeros_score_nothing():
    with pytest.raises(UserError, match=r"all weights score 0 .*legal: another head\.init"):
        gradient_score([whole(FIRST)], [{"w": torch.zeros(2, 2)}], "fisher")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite(value):
    with pytest.raises(UserError, match="not finite"):
        gradient_score([whole(FIRST)], [{"w": FIRST}, {"w": torch.full((2, 2), value)}], "magnitude")
