"""What a form is told of its site and of the forward that it is in."""

from dataclasses import FrozenInstanceError

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.view import EVAL, Now, View


def test_rows_are_the_weight_itself():
    weight = torch.randn(3, 4)
    assert View(4, 3, weight=weight).rows() is weight


def test_a_site_beside_no_linear_layer_has_no_rows():
    with pytest.raises(UserError) as error:
        View(4, 3).rows()
    assert str(error.value) == (
        "peft: its form is made from the weight of a linear layer, and a site stands beside none;"
        " legal: insertion=parallel at q, k, v, in, x, dt, out, xq, xk, xv, xout, mlp1, gate, mlp2, proj"
    )


def test_a_view_is_a_value():
    view = View(4, 3)
    assert view == View(4, 3, num_heads=1, weight=None, shared=None)
    assert view != View(4, 3, num_heads=2)
    with pytest.raises(FrozenInstanceError):
        view.num_in = 5


def test_without_a_word_a_forward_is_one_of_evaluation_at_full_width():
    assert Now() == EVAL == (False, None, None, True, 1, None)
    assert Now(width=0) != EVAL, "0 is off, None is all"
