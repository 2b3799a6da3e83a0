"""A prefix against both of its published forms, head by head."""

import math

import pytest
import torch
from torch.nn import functional as F

from peftlab.peft.prefix import Prefix, split_heads
from peftlab.peft.view import View

B, H, N, D = 2, 2, 5, 3


def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def prefix(**options):
    return Prefix(View(8, H * D), torch.Generator().manual_seed(0), **{"length": 4, "mlp": None, **options})


@pytest.fixture
def qkv():
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(B, H, N, D, generator=rng) for _ in range(3)]


def gated_form(q, k, v, P_k, P_v):
    """(1 - lambda) Attn(q, K, V) + lambda Attn(q, P_k, P_v): He et al. 2022, section 3.1, one query at a time."""
    result = torch.empty_like(q)
    for b in range(B):
        for h in range(H):
            for n in range(N):
                own = torch.exp(k[b, h] @ q[b, h, n] / math.sqrt(D))
                new = torch.exp(P_k[:, h * D : h * D + D] @ q[b, h, n] / math.sqrt(D))
                share = new.sum() / (new.sum() + own.sum())
                alone = (own / own.sum()) @ v[b, h]
                prefixed = (new / new.sum()) @ P_v[:, h * D : h * D + D]
                result[b, h, n] = (1 - share) * alone + share * prefixed
    return result


def test_concatenation_is_the_gated_form(qkv):
    delta = prefix()
    torch.nn.init.normal_(delta.P)
    torch.testing.assert_close(delta(attend, *qkv, None, None), gated_form(*qkv, *delta.P))


def test_gamma_multiplies_the_distance_to_plain_attention(qkv):
    delta = prefix()
    torch.nn.init.normal_(delta.P)
    alone, full = attend(*qkv), delta(attend, *qkv, None, None)
    assert torch.equal(delta(attend, *qkv, torch.tensor(0.0), None), alone)
    torch.testing.assert_close(delta(attend, *qkv, torch.tensor(1.0), None), full)
    torch.testing.assert_close(delta(attend, *qkv, torch.tensor(0.3), None), 0.7 * alone + 0.3 * full)


def test_a_gate_multiplies_the_vectors_of_each_sample(qkv):
    """UniPELT: P_k, P_v <- g P_k, g P_v, which is not a mix of outputs."""
    delta = prefix()
    torch.nn.init.normal_(delta.P)
    gate = torch.tensor([0.2, 0.9]).view(2, 1, 1, 1)
    got = delta(attend, *qkv, None, gate)
    for b in range(B):
        vectors = gate[b].item() * delta.P
        torch.testing.assert_close(got[b], gated_form(*qkv, *vectors)[b])


def test_the_mlp_is_dropped_after_training():
    """P = W_2 tanh(W_1 E + b_1) + b_2 by hand; what is saved is P, and a site built with it gives the same."""
    delta = prefix(mlp=7)
    assert {name for name, _ in delta.named_parameters()} == {"E", "down", "down_bias", "up", "up_bias"}
    hidden = torch.tanh(delta.E @ delta.down.T + delta.down_bias)
    both = hidden @ delta.up.T + delta.up_bias
    torch.testing.assert_close(delta.vectors(), torch.stack([both[:, : H * D], both[:, H * D :]]))
    plain = prefix(**delta.after_training)
    plain.load_state_dict(delta.finished())
    assert torch.equal(plain.vectors(), delta.vectors())


def test_start():
    P = Prefix(View(8, 4096), torch.Generator().manual_seed(0), length=30, mlp=None).P
    assert P.shape == (2, 30, 4096)
    assert abs(P.std().item() / 0.02 - 1) < 0.01
    assert abs(P.mean().item()) < 2e-4


def test_vectors_are_split_like_the_heads_of_a_fused_qkv():
    vectors = torch.arange(12.0).view(2, 6)
    assert split_heads(vectors, torch.zeros(1, 2, 1, 3))[0, 1].tolist() == [[3, 4, 5], [9, 10, 11]]


@pytest.mark.parametrize(("length", "count"), [(10, 184_320), (30, 552_960)])
def test_counts_on_vit_base(recipe, vit_base, adapt, length, count):
    """methods.md 2.4."""
    model, _ = adapt(recipe("prefix", **{"peft.length": length}), vit_base)
    assert model.num_parameters()["delta"] == count


def test_the_block_with_a_prefix_is_the_block_by_hand(recipe, family, adapt):
    """timm's own attention modules on the tiny ViT, with the prefix concatenated by hand."""
    backbone = family("plain")
    attention = backbone.model.blocks[1].attn
    model, _ = adapt(recipe("prefix", cells={"1.kv": {}}, **{"peft.length": 3}), backbone)
    seen = {}
    hook = attention.register_forward_hook(lambda _, args, out: seen.update(read=args[0], write=out))
    model.features(torch.randn(2, 3, 32, 32))
    hook.remove()
    q, k, v = attention.qkv(seen["read"]).chunk(3, -1)
    P_k, P_v = (vectors.expand(2, -1, -1) for vectors in model.deltas["1_kv"].P)
    heads = []
    for part in range(2):
        own = slice(part * 8, part * 8 + 8)
        keys = torch.cat([P_k[..., own], k[..., own]], 1)
        values = torch.cat([P_v[..., own], v[..., own]], 1)
        heads.append(torch.softmax(q[..., own] @ keys.transpose(1, 2) / math.sqrt(8), -1) @ values)
    torch.testing.assert_close(seen["write"], attention.proj(torch.cat(heads, -1)))
