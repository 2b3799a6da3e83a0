"""Orthogonal matching pursuit against least squares, and first-order effects against torch's own derivative."""

import numpy as np
import pytest
import torch

from peftlab.build.coupling import MAX_LOGITS, effects, left_over, wanted_of
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.site import Site

SITES = [Site(block, "q") for block in range(6)]


def rest(wanted, columns):
    if not columns:
        return np.linalg.norm(wanted)
    matrix = np.stack(columns, axis=1)
    return np.linalg.norm(wanted - matrix @ np.linalg.lstsq(matrix, wanted, rcond=None)[0])


@pytest.mark.parametrize("seed", range(5))
def test_the_next_site_is_the_one_that_leaves_least(seed):
    rng = np.random.default_rng(seed)
    wanted, columns = rng.normal(size=20), rng.normal(size=(6, 20)) + rng.normal(size=20)
    found = left_over(torch.tensor(wanted), dict(zip(SITES, map(torch.tensor, columns), strict=True)))
    taken = []
    for site, score in found.items():
        assert score == pytest.approx(rest(wanted, taken))
        own = columns[SITES.index(site)]
        others = [column for column in columns if not any(column is one for one in (*taken, own))]
        assert all(rest(wanted, [*taken, own]) <= rest(wanted, [*taken, one]) + 1e-12 for one in others)
        taken.append(own)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_of_two_with_one_effect_the_second_takes_nothing():
    wanted = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    large, small = torch.eye(3, dtype=torch.float64)[:2]
    found = left_over(
        wanted,
        {SITES[0]: 5 * large, SITES[1]: 7 * large, SITES[2]: 0.1 * small, SITES[3]: torch.zeros_like(large)},
    )
    assert list(found)[:2] == [SITES[0], SITES[2]]
    assert list(found.values()) == pytest.approx([14**0.5, 5**0.5, 1.0, 1.0])


class Net(torch.nn.Module):
    """Three thirds of a fused layer, then another one."""

    def __init__(self):
        super().__init__()
        self.fused, self.last = torch.nn.Linear(4, 9), torch.nn.Linear(9, 3)

    def forward(self, x):
        return self.last(torch.tanh(self.fused(x)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    model = Net().double().requires_grad_(False)
    x = torch.randn(7, 4, dtype=torch.float64)

    def logits(weights, batch):
        return torch.func.functional_call(model, weights, (batch.inputs["x"],))

    batches = [
        Batch({"x": part}, torch.arange(len(part)) % 3, torch.arange(len(part))) for part in x.split(3)
    ]
    return model, x, logits, batches


def test_effects_are_derivatives_of_the_logits(net):
    model, x, logits, batches = net
    second, last = torch.randn(3, 4).double(), torch.randn(3, 9).double()
    moves = {
        SITES[0]: {("fused.weight", (1, 3)): second},
        SITES[1]: {("fused.weight", (1, 3)): second, ("last.weight", (0, 1)): last},
        SITES[2]: {("last.weight", (0, 1)): torch.zeros_like(last)},
    }
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = effects(model, moves, logits, batches)
    whole = torch.zeros(9, 4, dtype=torch.float64)
    whole[3:6] = second
    at = {name: model.get_parameter(name) for name in ("fused.weight", "last.weight")}

    def outputs(fused, last):
        return torch.func.functional_call(model, {"fused.weight": fused, "last.weight": last}, (x,))

    for site, tangent in ((SITES[0], torch.zeros_like(last)), (SITES[1], last)):
        _, wanted = torch.autograd.functional.jvp(outputs, tuple(at.values()), (whole, tangent))
        torch.testing.assert_close(found[site], wanted.flatten(), rtol=2e-3, atol=2e-3)
    assert not found[SITES[2]].any()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_wanted_is_the_gradient_of_the_mean_loss_whatever_the_batches(net):
    model, x, logits, batches = net
    loss = torch.nn.functional.cross_entropy
    z = model(x).requires_grad_()
    loss(z, torch.cat([batch.targets for batch in batches])).backward()
    found = wanted_of(lambda batch: logits({}, batch), loss, batches)
    torch.testing.assert_close(found, -z.grad.flatten())


def test_too_many_logits_are_refused():
    batch = Batch({}, torch.zeros(2, dtype=torch.long), torch.arange(2))
    with pytest.raises(
        UserError, match=r"placement\.num_samples=2 items for each site, and they are more than 1,"
    ):
        wanted_of(lambda _: torch.zeros(2, MAX_LOGITS), torch.nn.functional.cross_entropy, [batch])
