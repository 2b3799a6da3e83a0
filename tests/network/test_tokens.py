"""Prompts against a transformer written out in plain torch, in which they are put among the tokens by hand."""

import math

import pytest
import torch

from peftlab.errors import UserError
from peftlab.site import Site

NUM = 3
SHALLOW, DEEP = ("vpt_shallow", {0}), ("vpt_deep", {0, 1})


def norm(x, module):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * module.weight + module.bias


def linear(x, module):
    return x @ module.weight.T + module.bias


def block_by_hand(block, x):
    q, k, v = (
        part.unflatten(-1, (2, 8)).transpose(1, 2)
        for part in linear(norm(x, block.norm1), block.attn.qkv).chunk(3, -1)
    )
    weights = (q @ k.transpose(-1, -2) / math.sqrt(8)).softmax(-1)
    x = x + linear((weights @ v).transpose(1, 2).flatten(2), block.attn.proj)
    hidden = linear(norm(x, block.norm2), block.mlp.fc1)
    return x + linear(hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2, block.mlp.fc2)


def tokens(model, images):
    """What enters the first block."""
    return model._pos_embed(model.patch_embed(images))


def pooled(model, x):
    """Features of the original 17 tokens: CLS, or the mean of the 16 patches behind it."""
    if model.global_pool == "avg":
        return norm(x[:, 1:17].mean(1), model.fc_norm)
    return norm(x, model.norm)[:, 0]


def by_hand(model, images, enter):
    """Prompts stand at the end of the row; enter(block, entered, left) gives those of a block, or None."""
    x, entered, left = tokens(model, images), None, None
    for index, block in enumerate(model.blocks):
        entered = enter(index, entered, left)
        row = x if entered is None else torch.cat([x, entered.expand(len(x), -1, -1)], 1)
        row = block_by_hand(block, row)
        x, left = row[:, :17], None if entered is None else row[:, 17:]
        entered = None if entered is None else entered.expand(len(x), -1, -1)
    return pooled(model, x)


def images_of(backbone, seed=1):
    size = backbone.input_spec.size
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(seed))


def prompted(recipe, adapt, backbone, method, **keys):
    """A model in eval mode whose prompts are random numbers of size 1."""
    model, _ = adapt(recipe(method, **keys), backbone)
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in model.deltas.named_parameters():
            if name.endswith("P"):
                value.copy_(torch.randn(value.shape, generator=rng))
    return model.eval()


def P(model, block):
    return model.delta_at(Site(block, "tokens")).P


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family_name", ["plain", "average"])
@pytest.mark.parametrize(("method", "blocks"), [SHALLOW, DEEP])
def test_features_equal_those_of_prompts_at_the_end_by_hand(
    recipe, family, adapt, family_name, method, blocks
):
    """So their place in the row makes no difference, they travel or are replaced, and no pooling sees them."""
    backbone = family(family_name)
    images = images_of(backbone)
    model = prompted(recipe, adapt, backbone, method, **{"peft.num_tokens": NUM})
    assert {site.block for site in model.sites} == blocks
    frozen = by_hand(backbone.model, images, lambda *given: None)
    expected = by_hand(
        backbone.model, images, lambda block, entered, left: P(model, block) if block in blocks else left
    )
    close(model.features(images), expected)
    assert (expected - frozen).norm() > 0.05 * frozen.norm()
    close(backbone.model(images), frozen)


def test_prompts_that_do_not_travel_leave_behind_their_block(recipe, family, adapt):
    backbone = family("plain")
    images = images_of(backbone)
    model = prompted(
        recipe, adapt, backbone, "vpt_shallow", **{"peft.num_tokens": NUM, "peft.travels": False}
    )
    close(
        model.features(images),
        by_hand(backbone.model, images, lambda block, entered, left: P(model, 0) if block == 0 else None),
    )


@pytest.mark.parametrize("init", [-1.0, 2.0])
def test_a_prompt_gate_mixes_what_left_a_block_with_what_entered_it(recipe, family, adapt, init):
    backbone = family("plain")
    images = images_of(backbone)
    keys = {"peft.parts.prompt.num_tokens": NUM, "peft.parts.gate.init": init, "placement.position": "tokens"}
    model = prompted(recipe, adapt, backbone, "gated_prompt", **keys)
    g = 1 / (1 + math.exp(-init))
    expected = by_hand(
        backbone.model,
        images,
        lambda block, entered, left: P(model, 0) if block == 0 else g * left + (1 - g) * entered,
    )
    close(model.features(images), expected)


def test_a_prompt_gate_needs_prompts_from_below(recipe, family, adapt):
    with pytest.raises(UserError, match=r"1\.tokens has a PromptGate, but no prompts come"):
        adapt(recipe("gated_prompt", cells={"1.tokens": {}}), family("plain"))


def test_gamma_multiplies_the_prompts(recipe, family, adapt):
    backbone = family("plain")
    images = images_of(backbone)
    model = prompted(recipe, adapt, backbone, "vpt_deep", **{"peft.num_tokens": NUM, "scaling.value": 0.3})
    close(
        model.features(images), by_hand(backbone.model, images, lambda block, *given: 0.3 * P(model, block))
    )


@pytest.mark.parametrize(("family_name", "start"), [("plain", 1), ("dinov2", 5), ("eva02", 1)])
def test_prompts_stand_behind_the_prefix_tokens_and_are_gone_after_the_last_block(
    recipe, family, adapt, family_name, start
):
    backbone = family(family_name)
    seen = {}
    model = prompted(recipe, adapt, backbone, "vpt_deep", **{"peft.num_tokens": NUM})
    handles = [
        module.register_forward_pre_hook(lambda module, args, name=name: seen.update({name: args[0]}))
        for name, module in backbone.model.named_modules()
        if name in ("blocks.0.norm1", "blocks.1.norm1", "norm")
    ]
    rotated = []
    attention = backbone.model.blocks[0].attn
    own = getattr(attention, "num_prefix_tokens", None)
    handles.append(
        attention.register_forward_pre_hook(
            lambda *_: rotated.append(getattr(attention, "num_prefix_tokens", None))
        )
    )
    model.features(images_of(backbone))
    for handle in handles:
        handle.remove()
    num = seen["norm"].shape[1]
    for block in (0, 1):
        row = seen[f"blocks.{block}.norm1"]
        assert row.shape[1] == num + NUM
        assert torch.equal(row[:, start : start + NUM], P(model, block).expand(4, -1, -1))
    assert rotated == [None if own is None else start + NUM], "prompts would get a rotary position"
    assert getattr(attention, "num_prefix_tokens", None) == own


@pytest.mark.parametrize("travels", [True, False])
@pytest.mark.parametrize("off", [0, 1])
def test_a_site_that_is_off_is_as_if_it_were_not_there(recipe, family, adapt, travels, off):
    backbone = family("plain")
    images, keys = images_of(backbone), {"peft.num_tokens": NUM, "peft.travels": travels}
    model = prompted(recipe, adapt, backbone, "vpt_deep", **keys)
    both = model.features(images)
    model.use({Site(off, "tokens"): 0})
    got, left = model.features(images), P(model, 1 - off).detach().clone()
    other, _ = adapt(recipe("vpt_deep", cells={f"{1 - off}.tokens": {}}, **keys), backbone)
    with torch.no_grad():
        P(other, 1 - off).copy_(left)
    assert torch.equal(got, other.eval().features(images))
    assert not torch.equal(got, both)


def test_a_forward_that_was_broken_off_leaves_no_prompts_behind(recipe, family, adapt):
    backbone = family("plain")
    images = images_of(backbone)
    model = prompted(recipe, adapt, backbone, "vpt_shallow", **{"peft.num_tokens": NUM})
    expected = model.features(images)

    def stop(*_):
        raise KeyboardInterrupt

    handle = backbone.model.blocks[1].norm2.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        model.features(images)
    handle.remove()
    assert torch.equal(model.features(images), expected)
