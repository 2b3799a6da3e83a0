"""gamma that only the outer loop may train."""

from functools import partial

import torch
from torch.nn import functional as F

from peftlab.scaling.gamma import Scaled
from peftlab.scaling.meta import meta
from peftlab.scaling.plan import OuterPlan
from peftlab.site import Site


def test_what_it_hands_on():
    plan, estimator = OuterPlan(5, 0, 0.1, 8, 0.2, True, 10, False, False), partial(list)
    scaling = meta(
        [Scaled(Site(0, "q"), 4, 6, 1.0, 6)], value=None, rule="plain", init=1.0, init_raw=False,
        activation="softplus", granularity="site", outer=lambda: plan, estimator=estimator,
    )  # fmt: skip
    assert scaling.outer is plan
    assert scaling.estimator is estimator
    assert scaling.optimizer is None
    assert not scaling.gamma.raw.requires_grad


def test_an_inner_step_cannot_move_gamma(recipe, family, adapt):
    model, scaling = adapt(recipe("lora", "meta"), family("plain"))
    assert scaling.optimizer is None
    optimizer = torch.optim.SGD(model.theta().values(), lr=0.1, momentum=0.9, weight_decay=0.5)
    before = model.gamma.raw.clone()
    for _ in range(2):
        F.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4) % 3).backward()
        optimizer.step()
    assert torch.equal(model.gamma.raw, before)
    assert model.gamma.raw.grad is None
    assert not any(name.startswith("gamma") for name in model.theta())


def test_fixed_and_meta_start_as_the_same_model(recipe, family, adapt):
    """gamma = 1 is a fixed scale of 1: what differs is who trains it."""
    images, logits = torch.randn(4, 3, 32, 32), []
    for scaling in ("fixed", "learned", "meta"):
        model, _ = adapt(recipe("lora", scaling), family("plain"))
        with torch.no_grad():
            for delta in model.deltas.values():
                delta.B.fill_(0.1)
        logits.append(model(images))
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-5, atol=1e-5)
    assert torch.equal(logits[1], logits[2])
