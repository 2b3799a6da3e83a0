"""gamma beside theta: its own optimizer, the same loss."""

import pytest
import torch
from torch.nn import functional as F

from peftlab.scaling.gamma import Scaled
from peftlab.scaling.learned import learned
from peftlab.site import Site


def make(**options):
    legal = {
        "value": None, "rule": "plain", "init": 1.0, "init_raw": False, "activation": "softplus",
        "granularity": "site", "lr": 0.01,
    }  # fmt: skip
    return learned(
        [Scaled(Site(0, "q"), 4, 6, 1.0, 6), Scaled(Site(0, "v"), 4, 6, 1.0, 6)], **{**legal, **options}
    )


def test_its_optimizer_is_adam_without_weight_decay_over_gamma_alone():
    scaling = make(lr=0.03)
    (group,) = scaling.optimizer.param_groups
    assert isinstance(scaling.optimizer, torch.optim.Adam)
    assert [id(value) for value in group["params"]] == [id(scaling.gamma.raw)]
    assert (group["lr"], group["weight_decay"]) == (0.03, 0.0)
    assert scaling.gamma.raw.requires_grad
    assert scaling.outer is scaling.estimator is None


def test_start():
    assert make().gamma.effective().tolist() == pytest.approx([1, 1])
    assert make(init=2.5).gamma.effective().tolist() == pytest.approx([2.5, 2.5])
    assert make(init_raw=True).gamma.effective().tolist() == pytest.approx([1.3133, 1.3133], abs=1e-4)
    scales = make(value=3.0, rule="over_rank").gamma.scales().values()
    assert [scale.item() for scale in scales] == pytest.approx([0.75, 0.75])


def test_gamma_s_gradient_is_zero_at_the_start_and_the_finite_difference_later(recipe, family, adapt):
    keys = {"scaling.activation": "identity", "peft.rank": 2}
    model, _ = adapt(recipe("lora", "learned", **keys), family("plain"))
    images, labels = torch.randn(4, 3, 32, 32), torch.arange(4) % 3

    def loss():
        return F.cross_entropy(model(images), labels)

    loss().backward()
    assert not model.gamma.raw.grad.any(), "B is 0"
    with torch.no_grad():
        for delta in model.deltas.values():
            delta.B.fill_(0.1)
    model.gamma.raw.grad = None
    loss().backward()
    grad = model.gamma.raw.grad.clone()
    for index in (0, 7):
        values = []
        for step in (0.01, -0.01):
            with torch.no_grad():
                model.gamma.raw[index] += step
                values.append(loss().item())
                model.gamma.raw[index] -= step
        assert grad[index].item() == pytest.approx((values[0] - values[1]) / 0.02, rel=0.02, abs=1e-4)


def test_channel_gamma_moves_every_site(recipe, family, adapt):
    model, scaling = adapt(recipe("lora", "learned", **{"scaling.granularity": "channel"}), family("plain"))
    with torch.no_grad():
        for delta in model.deltas.values():
            delta.B.fill_(0.1)
    before = model.gamma.raw.detach().clone()
    F.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4) % 3).backward()
    scaling.optimizer.step()
    moved = (model.gamma.raw != before).split(model.gamma.sizes)
    assert all(part.any() for part in moved)
