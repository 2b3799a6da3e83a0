"""The attention product in the hands of a site."""

import pytest
import torch
from torch.nn import functional as F

from peftlab.network.attention import AttentionProduct


def front(num, value=0.0):
    """Puts `num` constant keys and values in front."""

    def act(attend, q, k, v):
        new = torch.full((*k.shape[:2], num, k.shape[-1]), value)
        return attend(q, torch.cat([new, k], 2), torch.cat([new, v], 2))

    return act


def qkv():
    return [torch.randn(2, 2, 5, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]


def test_nothing_changes_if_the_site_attends_as_it_was_told():
    mask = torch.randn(5, 5)
    with AttentionProduct(lambda attend, q, k, v: attend(q, k, v)):
        inside = F.scaled_dot_product_attention(*qkv(), attn_mask=mask)
    assert torch.equal(inside, F.scaled_dot_product_attention(*qkv(), attn_mask=mask))


def test_other_functions_are_left_alone():
    with AttentionProduct(front(1)):
        assert torch.equal(F.relu(torch.tensor([-1.0, 1.0])), torch.tensor([0.0, 1.0]))


def test_keys_in_front_are_seen_by_every_query_whatever_the_mask():
    """Swin adds a bias: zeros for the new keys; a boolean mask: true."""
    q, k, v = qkv()
    bias, allowed = torch.randn(5, 5), torch.ones(5, 5).tril().bool()
    new = torch.full((2, 2, 2, 3), 0.5)
    keys, values = torch.cat([new, k], 2), torch.cat([new, v], 2)
    with AttentionProduct(front(2, 0.5)):
        biased = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        causal = F.scaled_dot_product_attention(q, k, v, allowed)
    scores = q @ keys.transpose(-1, -2) / 3**0.5
    wide = torch.cat([torch.zeros(5, 2), bias], 1)
    torch.testing.assert_close(biased, torch.softmax(scores + wide, -1) @ values)
    wide = torch.cat([torch.ones(5, 2).bool(), allowed], 1)
    torch.testing.assert_close(causal, torch.softmax(scores.masked_fill(~wide, -torch.inf), -1) @ values)


def test_the_scale_is_passed_on():
    q, k, v = qkv()
    with AttentionProduct(front(0)):
        got = F.scaled_dot_product_attention(q, k, v, scale=2.0)
    torch.testing.assert_close(got, torch.softmax(2.0 * q @ k.transpose(-1, -2), -1) @ v)


def closed_form(q, k, v, num_front, visible, bias=None):
    """softmax over the keys that each query may see; the first `num_front` keys are seen by all; in float64."""
    group = q.shape[1] // k.shape[1]
    k, v = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if bias is not None:
        scores[..., num_front:] += bias
    front = torch.ones(*visible.shape[:-1], num_front, dtype=torch.bool)
    scores = scores.masked_fill(~torch.cat([front, visible], -1), -torch.inf)
    return scores.softmax(-1) @ v


def wide(num_queries=5, num_keys=5, key_heads=2):
    """q of four heads, k and v of fewer; in float64."""
    rng = torch.Generator().manual_seed(0)
    shapes = ((2, 4, num_queries, 3), (2, key_heads, num_keys, 3), (2, key_heads, num_keys, 3))
    return [torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes]


def with_front(num, k, v):
    """Other random keys and values in front of these, and the act that puts them there."""
    rng = torch.Generator().manual_seed(7)
    shape = (*k.shape[:2], num, k.shape[-1])
    new = [torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2)]
    keys, values = torch.cat([new[0], k], 2), torch.cat([new[1], v], 2)

    def act(attend, q, k, v):
        return attend(q, torch.cat([new[0], k], 2), torch.cat([new[1], v], 2))

    return keys, values, AttentionProduct(act)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize(
    ("key_heads", "more"), [(4, {}), (2, {"enable_gqa": True}), (1, {"enable_gqa": True})]
)
@pytest.mark.parametrize(("num_queries", "num_keys"), [(5, 5), (3, 5), (5, 3)])
def test_a_causal_attention_sees_all_that_is_in_front_and_no_later_token(
    num, key_heads, more, num_queries, num_keys
):
    q, k, v = wide(num_queries, num_keys, key_heads)
    keys, values, inside = with_front(num, k, v)
    with inside:
        got = F.scaled_dot_product_attention(q, k, v, is_causal=True, **more)
    visible = torch.ones(num_queries, num_keys, dtype=torch.bool).tril()
    torch.testing.assert_close(got, closed_form(q, keys, values, num, visible))


def test_a_causal_attention_with_a_front_takes_no_gradient_from_later_tokens():
    q, k, v = wide(key_heads=4)
    v.requires_grad_()
    _, _, inside = with_front(2, k, v)
    with inside:
        got = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    for token in range(5):
        (grad,) = torch.autograd.grad(got[..., token, :].sum(), v, retain_graph=True)
        seen = grad.abs().sum((0, 1, 3)) > 0
        assert seen.tolist() == [other <= token for other in range(5)]


@pytest.mark.parametrize(("key_heads", "more"), [(4, {}), (2, {"enable_gqa": True})])
@pytest.mark.parametrize("axes", [(5, 5), (2, 1, 5, 5), (2, 4, 5, 5)])
@pytest.mark.parametrize("kind", ["boolean", "bias"])
def test_a_given_mask_with_a_front_is_the_closed_form(key_heads, more, axes, kind):
    q, k, v = wide(key_heads=key_heads)
    keys, values, inside = with_front(2, k, v)
    bias = torch.randn(axes, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    visible = (bias > 0) | torch.eye(5, dtype=torch.bool)
    with inside:
        mask = visible if kind == "boolean" else bias
        got = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **more)
    if kind == "boolean":
        expected = closed_form(q, keys, values, 2, visible)
    else:
        expected = closed_form(q, keys, values, 2, torch.ones_like(visible), bias)
    torch.testing.assert_close(got, expected)


def test_a_query_that_a_mask_blinds_still_sees_the_front():
    q, k, v = wide(key_heads=4)
    keys, values, inside = with_front(2, k, v)
    blind = torch.zeros(5, 5, dtype=torch.bool)
    with inside:
        got = F.scaled_dot_product_attention(q, k, v, attn_mask=blind)
    torch.testing.assert_close(got, closed_form(q, keys, values, 2, blind))
    torch.testing.assert_close(got, F.scaled_dot_product_attention(q, keys[:, :, :2], values[:, :, :2]))


CALLS = [
    {"is_causal": True},
    {"attn_mask": torch.ones(5, 5, dtype=torch.bool).tril()},
    {"attn_mask": torch.linspace(-1, 1, 25).double().reshape(5, 5), "scale": 0.3},
    {"is_causal": True, "enable_gqa": True},
    {},
]


@pytest.mark.parametrize("options", CALLS)
def test_without_a_front_the_call_is_the_one_that_was_made(options, monkeypatch):
    """The same arguments, so that torch takes the same kernel (a causal one, not a mask that says as much)."""
    q, k, v = wide(key_heads=2 if "enable_gqa" in options else 4)
    alone = F.scaled_dot_product_attention(q, k, v, **options)
    seen, own = [], F.scaled_dot_product_attention

    def watched(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, **more):
        seen.append({"attn_mask": attn_mask, "is_causal": is_causal, **more})
        return own(q, k, v, attn_mask, dropout_p, is_causal, **more)

    with AttentionProduct(lambda attend, q, k, v: attend(q, k, v)):
        inside = F.scaled_dot_product_attention(q, k, v, **options)
    assert torch.equal(inside, alone)
    product = AttentionProduct(lambda attend, q, k, v: attend(q, k, v))
    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    assert torch.equal(product._product(q, k, v, **options), alone)
    (call,) = seen
    assert call["attn_mask"] is options.get("attn_mask")
    assert call["is_causal"] == options.get("is_causal", False)
    assert {key: call[key] for key in ("scale", "enable_gqa") if key in call} == {
        key: options[key] for key in ("scale", "enable_gqa") if key in options
    }
