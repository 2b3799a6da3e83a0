"""One update at every rank: what is trained in a step, and what acts at each rank."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.optim.adamw import adamw
from peftlab.peft.dylora import DyLora
from peftlab.peft.view import Now, View


def make(rank=4, **options):
    delta = DyLora(
        View(6, 5), torch.Generator().manual_seed(0), **{"rank": rank, "eval_rank": None, **options}
    )
    for column in delta.B:
        torch.nn.init.normal_(column)
    return delta


def product(delta, b, x):
    """(1 / b) sum_i B_i (A_i . x)."""
    return sum((x @ delta.A[i]).unsqueeze(-1) * delta.B[i] for i in range(b)) / b


@pytest.mark.parametrize("b", [1, 2, 4])
def test_every_rank_after_training(b):
    delta, x = make(), torch.randn(3, 6)
    now = Now(width=b)
    torch.testing.assert_close(delta(x, now), product(delta, b, x))
    B, A = delta.factors(now)
    torch.testing.assert_close(x @ (B @ A).T, product(delta, b, x))


def test_a_rank_that_does_not_exist():
    with pytest.raises(UserError, match=r"peft\.eval_rank=5 is not a rank of this DyLoRA; legal: 1 to 4"):
        make(eval_rank=5)


@pytest.mark.parametrize(("common", "b"), [(0.0, 1), (0.24, 1), (0.26, 2), (0.99, 4)])
def test_a_step_uses_rank_b_and_trains_row_b_alone(common, b):
    """The frozen mode; weight decay and momentum leave the others bit-identical too."""
    delta, x = make(), torch.randn(3, 6)
    optimizer = adamw(
        {"weights": list(delta.parameters())},
        lr=0.1,
        beta1=0.9,
        beta2=0.999,
        weight_decay=0.5,
        gate_decay=0.0,
        selected_decay=0.0,
    )
    delta(x, Now(training=True)).sum().backward()  # without a width everything trains: momentum for all
    optimizer.step()
    optimizer.zero_grad()
    before = {name: value.detach().clone() for name, value in delta.named_parameters()}
    now = Now(training=True, width=delta.sample(common))
    torch.testing.assert_close(delta(x, now), product(delta, b, x))
    delta(x, now).square().sum().backward()
    optimizer.step()
    moved = {name for name, value in delta.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {f"A.{b - 1}", f"B.{b - 1}"}


def test_draws_are_uniform():
    delta, counts = make(rank=8), [0] * 9
    for common in torch.rand(4000, generator=torch.Generator().manual_seed(0)).tolist():
        counts[delta.sample(common)] += 1
    assert counts[0] == 0
    assert all(abs(count - 500) < 5 * 500**0.5 for count in counts[1:])


def test_one_rank_for_the_whole_network_and_another_in_the_next_step(recipe, family, adapt):
    model, _ = adapt(recipe("dylora"), family("plain"))
    drawn = []
    for step in range(20):
        widths = model.cell.sample(torch.Generator().manual_seed(step))
        assert widths.keys() == set(model.sites)
        ranks = set(widths.values())
        assert len(ranks) == 1
        drawn += ranks
    assert len(set(drawn)) > 4


def test_a_model_works_at_each_rank(recipe, family, adapt):
    model, _ = adapt(recipe("dylora", cells={"0.q": {}, "1.mlp1": {"rank": 2}}), family("plain"))
    assert model.cell.nested_width == 8
    model.at(5)
    assert [model.widths[site] for site in model.sites] == [5, 2]


def test_start_is_that_of_lora(recipe, family, adapt):
    starts = []
    for method in ("lora", "dylora"):
        model, _ = adapt(recipe(method), family("plain"))
        delta = model.deltas["1_mlp2"]
        starts.append(torch.stack(list(delta.A)))
    assert torch.equal(*starts)


def test_counts_on_vit_base(recipe, vit_base, adapt):
    """As many as LoRA: q and v at rank 8."""
    model, _ = adapt(recipe("dylora", **{"placement.position": "attn_qv"}), vit_base)
    assert model.num_parameters()["delta"] == 294_912
