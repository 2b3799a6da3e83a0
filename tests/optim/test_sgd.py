"""The published recipe's optimizer against its update rule."""

import torch
from torch import nn

from peftlab.optim.sgd import sgd

DECAY = {"weight_decay": 0.01, "gate_decay": 0.0, "selected_decay": 0.0}


def test_two_steps_by_hand():
    """g' = g + wd w;  m <- mu m + g';  w <- w - lr m."""
    theta = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = sgd(
        {"weights": [theta]}, lr=0.1, momentum=0.9, weight_decay=0.5, gate_decay=0.0, selected_decay=0.0
    )
    w, m = theta.detach().clone(), torch.zeros(2)
    for grad in (torch.tensor([1.0, 0.0]), torch.tensor([-3.0, 2.0])):
        theta.grad = grad.clone()
        optimizer.step()
        m = 0.9 * m + grad + 0.5 * w
        w = w - 0.1 * m
    torch.testing.assert_close(theta.detach(), w)


def test_all_tensors_at_once_give_the_numbers_of_one_after_another(assert_same_steps):
    assert_same_steps(
        lambda own: sgd({"weights": own}, lr=0.01, momentum=0.9, **DECAY),
        lambda own: torch.optim.SGD(own, lr=0.01, momentum=0.9, weight_decay=0.01, foreach=False),
    )
