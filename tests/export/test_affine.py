"""A folded form equals its delta, column by column."""

import pytest
import torch

from peftlab.export.affine import Diagonal, LowRank, affine
from peftlab.peft.adapter import Adapter
from peftlab.peft.dylora import DyLora
from peftlab.peft.ia3 import Ia3
from peftlab.peft.lora import Lora
from peftlab.peft.ssf import Ssf
from peftlab.peft.view import View

D = 6


def make(kind, **options):
    delta = kind(View(D, D), torch.Generator().manual_seed(0), **options).double()
    with torch.no_grad():
        for value in delta.parameters():
            value.copy_(torch.randn(value.shape))
    return delta


DELTAS = {
    "lora": lambda: make(Lora, rank=2, dropout=0.5),
    "dylora": lambda: make(DyLora, rank=4, eval_rank=3),
    "ssf": lambda: make(Ssf),
    "ia3": lambda: make(Ia3),
}


@pytest.mark.parametrize("name", DELTAS)
@pytest.mark.parametrize("scale", [torch.tensor(-1.7), torch.linspace(-1, 2, D)], ids=["scalar", "channel"])
def test_the_matrix_and_its_products_are_the_delta_s(name, scale):
    delta = DELTAS[name]()
    form = affine(delta, scale)
    assert form is not None
    shift = (scale * delta(torch.zeros(D, dtype=torch.float64))).detach()
    columns = (scale * delta(torch.eye(D, dtype=torch.float64)) - shift).detach().T
    x, W = torch.randn(D, dtype=torch.float64), torch.randn(D, D, dtype=torch.float64)
    torch.testing.assert_close(form.matrix(), columns)
    torch.testing.assert_close(form.after(x), columns @ x)
    torch.testing.assert_close(form.after(W), columns @ W)
    torch.testing.assert_close(form.before(W), W @ columns)
    torch.testing.assert_close(torch.zeros_like(shift) if form.t is None else form.t, shift)


def test_the_kinds():
    assert isinstance(affine(DELTAS["dylora"](), torch.ones(())), LowRank)
    assert isinstance(affine(DELTAS["ssf"](), torch.ones(())), Diagonal)


def test_an_adapter_has_none():
    options = {"bottleneck": 2, "activation": "relu", "norm": False, "dropout": 0.0, "init": "kaiming"}
    assert affine(make(Adapter, **options), torch.ones(())) is None
