"""Layers of GPT-2, GPT-NeoX and Mamba in the layout of the house compute what they did, and go back to where they came from."""

import copy

import pytest
import torch
from fixtures.text import config_of
from torch import nn

from peftlab.backbone.hf.families import FAMILIES
from peftlab.backbone.hf.layout import PerHead, arrange, published
from peftlab.backbone.hf.model import created


@pytest.fixture(params=["gpt2", "gpt_neox", "llama", "mamba"])
def network(request):
    model, _ = created("model", FAMILIES[request.param], config_of(request.param))
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(value.numel())))
    return model.eval()


def test_what_it_computes_stays(network):
    arranged = copy.deepcopy(network)
    arrange(arranged)
    ids = torch.randint(5, 153, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = (
            model(input_ids=ids, use_cache=False).last_hidden_state for model in (network, arranged)
        )
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    assert not any(type(module).__name__ == "Conv1D" for module in arranged.modules())


def test_names_and_numbers_go_back(network):
    arranged = copy.deepcopy(network)
    arrange(arranged)
    found, wanted = published(arranged, arranged.state_dict()), network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_q_k_and_v_of_a_layer_that_gives_them_head_by_head():
    """Three heads of width 2: rows q0 k0 v0 q1 k1 v1 q2 k2 v2 of the old layer are q0 q1 q2 k0 ... of the new one."""
    old = nn.Linear(4, 18)
    new = PerHead(old, 3)
    rows = [head * 6 + part * 2 + row for part in range(3) for head in range(3) for row in range(2)]
    assert torch.equal(new.fused.weight, old.weight[rows])
    assert torch.equal(new.fused.bias, old.bias[rows])
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(new(x), old(x))
