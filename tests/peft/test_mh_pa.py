"""The multi-head parallel adapter against its equation, one head and one query at a time."""

import torch
from torch.nn import functional as F

from peftlab.peft.mh_pa import MhPa
from peftlab.peft.view import View

B, H, N, D = 2, 2, 5, 3


def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def make():
    delta = MhPa(View(8, H * D), torch.Generator().manual_seed(0), length=4)
    torch.nn.init.normal_(delta.P_k)
    torch.nn.init.normal_(delta.P_v)
    return delta, [torch.randn(B, H, N, D) for _ in range(3)]


def by_hand(delta, q):
    added = torch.empty_like(q)
    for h in range(H):
        P_k, P_v = delta.P_k[:, h * D : h * D + D], delta.P_v[:, h * D : h * D + D]
        added[:, h] = torch.relu(torch.einsum("bnd,ld->bnl", q[:, h], P_k)) @ P_v  # no 1 / sqrt d_h
    return added


def test_equation():
    delta, qkv = make()
    torch.testing.assert_close(delta(attend, *qkv, None, None), attend(*qkv) + by_hand(delta, qkv[0]))


def test_gamma_and_gates_multiply_what_is_added():
    delta, qkv = make()
    gamma, gate = torch.rand(H, 1, D), torch.rand(B, 1, N, 1)
    expected = attend(*qkv) + gamma * gate * by_hand(delta, qkv[0])
    torch.testing.assert_close(delta(attend, *qkv, gamma, gate), expected)


def test_start_is_the_identity():
    delta = MhPa(View(8, H * D), torch.Generator().manual_seed(0), length=4)
    qkv = [torch.randn(B, H, N, D) for _ in range(3)]
    assert torch.equal(delta(attend, *qkv, None, None), attend(*qkv))
    assert delta.P_k.std() > 0


def test_as_many_parameters_as_a_prefix(recipe, vit_base, adapt):
    """methods.md 2.15: 2 length d in each block."""
    model, _ = adapt(recipe("mh_pa", **{"peft.length": 30}), vit_base)
    assert model.num_parameters()["delta"] == 552_960


def test_it_is_added_before_the_output_projection(recipe, family, adapt):
    backbone = family("plain")
    attention = backbone.model.blocks[0].attn
    model, _ = adapt(recipe("mh_pa", cells={"0.kv": {}}), backbone)
    delta = model.deltas["0_kv"]
    torch.nn.init.normal_(delta.P_v)
    seen = {}
    hook = attention.register_forward_hook(lambda _, args, out: seen.update(read=args[0], write=out))
    model.features(torch.randn(2, 3, 32, 32))
    hook.remove()
    q = attention.qkv(seen["read"])[..., :16]
    added = [
        torch.relu(q[..., own] @ delta.P_k[:, own].T) @ delta.P_v[:, own]
        for own in (slice(0, 8), slice(8, 16))
    ]
    frozen = attention(seen["read"])
    torch.testing.assert_close(seen["write"], frozen + torch.cat(added, -1) @ attention.proj.weight.T)
