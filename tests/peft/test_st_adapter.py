"""ST-Adapter against a loop over taps, torch's own convolution, a transformer written out by hand, and the published counts."""

import pytest
import torch
from torch.nn import functional as F

from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.resolve import resolve
from peftlab.peft.st_adapter import StAdapter
from peftlab.peft.view import View

CLASS_TOKEN = 1


def made(num_in=6, bottleneck=4, kernel=3, seed=0, prefix=CLASS_TOKEN):
    rng = torch.Generator().manual_seed(seed)
    view = View(num_in, num_in, num_prefix_tokens=prefix)
    return StAdapter(view, rng, bottleneck=bottleneck, kernel=kernel)


def with_numbers(delta, seed=1):
    rng = torch.Generator().manual_seed(seed)
    for value in delta.parameters():
        value.data = torch.randn(value.shape, generator=rng, dtype=torch.float64)
    return delta


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("num_frames", [1, 4])
def test_the_depthwise_convolution_over_time_is_a_loop(kernel, num_frames):
    delta = with_numbers(made(kernel=kernel))
    read = torch.randn(2, num_frames, 5, 6, dtype=torch.float64)
    found = delta(read)
    for item in range(2):
        for token in range(5):
            hidden = [delta.down @ read[item, t, token] + delta.down_bias for t in range(num_frames)]
            for t in range(num_frames):
                mixed = delta.taps_bias.clone()
                for k in range(kernel):
                    at = t + k - (kernel - 1) // 2
                    if 0 <= at < num_frames:
                        mixed = mixed + delta.taps[k] * hidden[at]
                expected = delta.up @ mixed + delta.up_bias
                expected = torch.zeros_like(expected) if token < CLASS_TOKEN else expected
                torch.testing.assert_close(found[item, t, token], expected, rtol=0, atol=1e-12)


def test_it_is_their_convolution_over_time_height_and_width():
    """Kernel (3, 1, 1), a group for each channel, on patches that form a grid."""
    delta = with_numbers(made())
    read = torch.randn(2, 4, 1 + 6, 6, dtype=torch.float64)
    grid = F.linear(read[:, :, 1:], delta.down, delta.down_bias).unflatten(2, (2, 3)).permute(0, 4, 1, 2, 3)
    weight = delta.taps.T[:, None, :, None, None]
    mixed = F.conv3d(grid, weight, delta.taps_bias, padding=(1, 0, 0), groups=4)
    expected = F.linear(mixed.permute(0, 2, 3, 4, 1).flatten(2, 3), delta.up, delta.up_bias)
    torch.testing.assert_close(delta(read)[:, :, 1:], expected, rtol=0, atol=1e-12)


def test_the_tokens_before_the_patches_get_nothing():
    delta = with_numbers(made(prefix=3))
    found = delta(torch.randn(2, 4, 8, 6, dtype=torch.float64))
    assert not found[:, :, :3].any()
    assert (found[:, :, 3:] != 0).all()


def test_it_starts_at_zero_and_its_convolution_is_what_learns_first():
    delta = made()
    read = torch.randn(2, 4, 5, 6)
    assert not delta(read).any()
    optimizer = torch.optim.SGD(delta.parameters(), lr=0.1)
    learnt = []
    for _ in range(2):
        optimizer.zero_grad()
        (delta(read) - 1).square().mean().backward()
        learnt.append({name for name, value in delta.named_parameters() if value.grad.any()})
        optimizer.step()
    assert learnt == [{"taps", "taps_bias", "up_bias"}, {name for name, _ in delta.named_parameters()}]


def test_a_block_by_hand(recipe, family, adapt):
    """x <- x + STA(x) stands before each norm, and what follows sees it: the norm, the sub-layer, and the stream around both."""
    backbone = family("plain")
    model, _ = adapt(recipe("st_adapter", **{"peft.parts.mlp.depth": 0}), backbone)
    model.eval()
    rng = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.copy_(0.2 * torch.randn(value.shape, generator=rng))
    vit, clips = backbone.model, torch.randn(2, 3, 3, 32, 32, generator=rng)
    with torch.no_grad():
        x = vit.norm_pre(vit._pos_embed(vit.patch_embed(clips.flatten(0, 1))))
        for index, block in enumerate(vit.blocks):
            for name, norm, sublayer in (
                ("norm1", block.norm1, block.attn),
                ("norm2", block.norm2, block.mlp),
            ):
                if f"{index}_{name}" in model.deltas:
                    x = x + model.deltas[f"{index}_{name}"](x.unflatten(0, (2, 3))).flatten(0, 1)
                x = x + sublayer(norm(x))
        expected = vit.norm(x)[:, 0].unflatten(0, (2, 3)).mean(1)
        torch.testing.assert_close(model.features(clips=clips), expected, rtol=1e-4, atol=1e-4)
        frozen = backbone.features({"clips": clips})
    assert (expected - frozen).norm() > 0.1 * frozen.norm()


@pytest.mark.parametrize(
    ("keys", "number"),
    [
        ({}, 23 * 592_512),
        ({"peft.parts.mlp.depth": "all"}, 14_220_288),  # 24 x 384
        ({"peft.parts.mlp.depth": "all", "placement.position": "norm2"}, 7_110_144),  # 12 x 384
    ],
)
def test_published_counts(recipe, vit_base, keys, number):
    config = recipe("st_adapter", **keys)
    config["backbone"] = {**config["backbone"], "depth": 12}
    resolved = resolve(config)
    head = torch.nn.Linear(768, 3)
    cell = build_cell(resolved, vit_base, place_on(resolved, vit_base), Start(head)).cell
    assert sum(value.numel() for value in cell.deltas.parameters()) == number
    assert {sum(value.numel() for value in delta.parameters()) for delta in cell.deltas.values()} == {592_512}
