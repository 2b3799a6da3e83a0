"""The attention product in the hands of a site."""

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
