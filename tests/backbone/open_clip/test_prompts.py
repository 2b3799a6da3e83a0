"""Deltas in the causal text tower: no token sees a later one, the text keeps its length, and prompts come first."""

import math

import pytest
import torch
from fixtures.clip import clip_inputs, clip_towers
from torch.nn import functional as F

from peftlab.network.network import Network
from peftlab.site import Site

NUM = 3
PROMPTS = ("soft_prompt", "vpt_deep", "vpt_shallow")
NO_TRAVEL = {"peft.num_tokens": NUM}


def shaken(model, seed=2):
    """Every trainable number of the deltas is a random one."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.copy_(0.2 * torch.randn(value.shape, generator=rng))
    return model.eval()


def hidden_of(model, ids):
    """What leaves the blocks, `[n, t, c]`."""
    seen = []
    norm = model.backbone.ln_final
    handle = norm.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model.features(input_ids=ids, attention_mask=torch.ones_like(ids))
    handle.remove()
    return seen[0]


@pytest.mark.parametrize(
    "method", [*PROMPTS, "gated_prompt", "prefix", "mh_pa", "lora", "adapter_houlsby", "ssf", "ia3", "mam"]
)
def test_no_token_sees_a_later_one(recipe, adapt, method):
    text = clip_towers("plain").text
    model = shaken(adapt(recipe(method), text)[0])
    _, ids = clip_inputs()
    other = ids.clone()
    other[:, 6] = (ids[:, 6] + 1) % 150
    ours, theirs = hidden_of(model, ids), hidden_of(model, other)
    assert ours.shape == (4, 12, 24)
    assert torch.equal(ours[:, :6], theirs[:, :6])
    assert not torch.isclose(ours[:, 6], theirs[:, 6]).all(-1).any()
    features = (
        model.features(input_ids=given, attention_mask=torch.ones_like(ids)) for given in (ids, other)
    )
    same = [torch.equal(one, two) for one, two in zip(*features, strict=True)]
    assert (same[0], same[1], same[3]) == (False, True, True)  # they end at 11, 3 and 5


def block_by_hand(block, x, mask):
    norm = lambda module, x: F.layer_norm(x, x.shape[-1:], module.weight, module.bias)  # noqa: E731
    q, k, v = (
        part.unflatten(-1, (3, 8)).transpose(1, 2)
        for part in F.linear(norm(block.ln_1, x), block.attn.qkv.weight, block.attn.qkv.bias).chunk(3, -1)
    )
    weights = (q @ k.transpose(-1, -2) / math.sqrt(8) + mask).softmax(-1)
    x = x + block.attn.out_proj((weights @ v).transpose(1, 2).flatten(2))
    return x + block.mlp.c_proj(F.gelu(block.mlp.c_fc(norm(block.ln_2, x))))


@pytest.mark.parametrize("method", ["vpt_deep", "vpt_shallow", "soft_prompt"])
def test_prompts_in_front_of_the_text_by_hand(recipe, adapt, method):
    towers = clip_towers("plain")
    text, model = towers.text.model, shaken(adapt(recipe(method, **NO_TRAVEL), towers.text)[0])
    _, ids = clip_inputs()
    x = text.token_embedding(ids) + text.positional_embedding
    mask = torch.full((12 + NUM, 12 + NUM), -torch.inf).triu(1)
    x = torch.cat([model.delta_at(Site(0, "tokens")).P.expand(4, -1, -1), x], 1)
    x = block_by_hand(text.transformer.resblocks[0], x, mask)
    if method == "vpt_deep":
        x = torch.cat([model.delta_at(Site(1, "tokens")).P.expand(4, -1, -1), x[:, NUM:]], 1)
    x = block_by_hand(text.transformer.resblocks[1], x, mask)[:, NUM:]
    expected = text.ln_final(x)[torch.arange(4), torch.tensor([11, 3, 7, 5])] @ text.text_projection
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    torch.testing.assert_close(model.features(**given), expected, rtol=1e-4, atol=1e-4)
    frozen = towers.text.features(given)
    assert (expected - frozen).norm() > 0.05 * frozen.norm()


def test_a_padded_tower_keeps_its_length_and_reads_its_last_token(recipe, adapt):
    text = clip_towers("siglip").text
    model = shaken(adapt(recipe("vpt_deep", **NO_TRAVEL), text)[0])
    _, ids = clip_inputs()
    hidden = hidden_of(model, ids)
    assert hidden.shape == (4, 12, 24)
    expected = text.model.text_projection(text.model.ln_final(hidden)[:, -1])
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    assert torch.equal(model.features(**given), expected)


@pytest.mark.parametrize(("kind", "tower"), [("plain", "image"), ("plain", "text"), ("siglip", "text")])
def test_several_cells_in_one_forward_are_those_alone(recipe, adapt, kind, tower):
    """Their batches stand in the blocks one behind the other, and each text ends where its own copy does."""
    backbone = getattr(clip_towers(kind), tower)
    images, ids = clip_inputs()
    mask = (torch.arange(12) <= ids.argmax(-1, keepdim=True)).long()
    inputs = {"images": images} if tower == "image" else {"input_ids": ids, "attention_mask": mask}
    models = [
        shaken(adapt(recipe(method), backbone)[0], seed)
        for seed, method in enumerate(("lora", "adapter_parallel", "mh_pa"))
    ]
    together = Network(backbone).features([model.cell for model in models], inputs)
    for model, features in zip(models, together, strict=True):
        torch.testing.assert_close(features, model.features(**inputs), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together[0], together[1])
