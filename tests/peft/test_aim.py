"""AIM: the published count, and its blocks against a transformer that attends over time and space in loops."""

import torch
from torch.nn import functional as F

from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.resolve import resolve

ADAPTERS = 36 * (2 * 768 * 192 + 192 + 768)


def bottleneck(delta, x):
    return F.gelu(x @ delta.down.T + delta.down_bias) @ delta.up.T + delta.up_bias


def over_time(attention, x):
    """Each token of each item on its own: its frames are what the attention reads. x is [b, t, n, d]."""
    found = torch.empty_like(x)
    for item in range(x.shape[0]):
        for token in range(x.shape[2]):
            found[item, :, token] = attention(x[item, :, token][None])[0]
    return found


def over_space(attention, x):
    return torch.stack([torch.stack([attention(frame[None])[0] for frame in item]) for item in x])


def test_blocks_by_hand(recipe, family, adapt):
    backbone = family("plain")
    model, _ = adapt(recipe("aim"), backbone)
    model.eval()
    rng = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.copy_(0.2 * torch.randn(value.shape, generator=rng))
    vit, clips = backbone.model, torch.randn(2, 3, 3, 32, 32, generator=rng)
    with torch.no_grad():
        x = vit.norm_pre(vit._pos_embed(vit.patch_embed(clips.flatten(0, 1)))).unflatten(0, (2, 3))
        x = x + model.deltas["0_tokens"].P[:3][None, :, None]
        for index, block in enumerate(vit.blocks):
            time, space, joint = (model.deltas[f"{index}_{name}"] for name in ("norm1", "attn", "ffn"))
            x = x + bottleneck(time, over_time(block.attn, block.norm1(x)))
            attended = over_space(block.attn, block.norm1(x))
            x = x + attended + bottleneck(space, attended)
            read = block.norm2(x)
            x = x + block.mlp(read) + 0.5 * bottleneck(joint, read)
        expected = vit.norm(x)[:, :, 0].mean(1)
        torch.testing.assert_close(model.features(clips=clips), expected, rtol=1e-3, atol=1e-3)
        frozen = backbone.features({"clips": clips})
    assert (expected - frozen).norm() > 0.1 * frozen.norm()


def test_published_count(recipe, vit_base):
    """10.65 M of adapters; a position for each frame comes to that."""
    config = recipe("aim", **{"peft.parts.position.frames": 8})
    config["backbone"] = {**config["backbone"], "depth": 12}
    resolved = resolve(config)
    cell = build_cell(resolved, vit_base, place_on(resolved, vit_base), Start(torch.nn.Linear(768, 3))).cell
    number = sum(value.numel() for value in cell.deltas.parameters())
    assert ADAPTERS == 10_651_392
    assert number == ADAPTERS + 8 * 768


def test_the_frames_of_the_data_have_positions(composed):
    config = composed("peft=aim", "dataset=moving_digits", "dataset.frames=6")
    assert config["peft"]["parts"]["position"]["frames"] == 6
