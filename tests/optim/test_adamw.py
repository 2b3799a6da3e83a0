"""AdamW against its update rule."""

import torch
from torch import nn

from peftlab.optim.adamw import adamw

DECAY = {"weight_decay": 0.01, "gate_decay": 0.0, "selected_decay": 0.0}


def test_two_steps_by_hand():
    """w <- (1 - lr wd) w - lr m_hat / (sqrt v_hat + eps)."""
    theta = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = adamw(
        {"weights": [theta]},
        lr=0.1,
        beta1=0.8,
        beta2=0.9,
        weight_decay=0.5,
        gate_decay=0.0,
        selected_decay=0.0,
    )
    w, m, v = theta.detach().clone(), torch.zeros(2), torch.zeros(2)
    for t, grad in enumerate((torch.tensor([1.0, 0.5]), torch.tensor([-3.0, 2.0])), start=1):
        theta.grad = grad.clone()
        optimizer.step()
        m, v = 0.8 * m + 0.2 * grad, 0.9 * v + 0.1 * grad.square()
        w = (1 - 0.1 * 0.5) * w - 0.1 * (m / (1 - 0.8**t)) / ((v / (1 - 0.9**t)).sqrt() + 1e-8)
    torch.testing.assert_close(theta.detach(), w)


def test_all_tensors_at_once_give_the_numbers_of_one_after_another(assert_same_steps):
    assert_same_steps(
        lambda own: adamw({"weights": own}, lr=0.01, beta1=0.9, beta2=0.999, **DECAY),
        lambda own: torch.optim.AdamW(own, lr=0.01, weight_decay=0.01, foreach=False),
    )
