"""CLIP-Adapter as published, with its alpha, and the published counts."""

import pytest
import torch
from fixtures.duo import image_vectors, looked_up, moved, pair_of, pictures, text_vectors
from torch.nn import functional as F

from peftlab.peft.clip_adapter import ClipAdapter
from peftlab.peft.view import View

SCALE = 10.0


def as_published(vectors, delta, alpha):
    """alpha relu(relu(f W_1) W_2) + (1 - alpha) f, of length 1."""
    adapted = torch.clamp(torch.clamp(vectors @ delta.down.T, min=0) @ delta.up.T, min=0)
    found = alpha * adapted + (1 - alpha) * vectors
    return found / found.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("alpha", [0.2, 0.6])
@pytest.mark.parametrize("depth", ["image", "text", "all"])
def test_scores_are_the_published_ones(alpha, depth):
    made = pair_of(
        "peft=clip_adapter", "peft.bottleneck=4", f"peft.depth={depth}", f"peft.scale={alpha / (1 - alpha)}"
    )
    moved(made.cell)
    deltas = [anchor.delta for anchor in made.cell.anchors]
    assert len(deltas) == (2 if depth == "all" else 1)
    images = pictures(3)
    found = image_vectors(made.backbone, images), text_vectors(made.backbone, *looked_up(made.backbone))
    # relu has no unit: the adapter of a vector of length 1 has the direction of that of the vector itself
    seen = as_published(found[0], deltas[0], alpha) if depth != "text" else found[0]
    read = as_published(found[1], deltas[-1], alpha) if depth != "image" else found[1]
    torch.testing.assert_close(made.logits(images), SCALE * seen @ read.T)
    assert not torch.allclose(made.logits(images), SCALE * found[0] @ found[1].T, atol=1e-3)


def test_it_starts_as_two_layers_of_torch():
    """Uniform within 1 / sqrt(d_in), as nn.Linear draws its weights, and no bias."""
    delta = ClipAdapter(View(512, 512), torch.Generator().manual_seed(0), bottleneck=128)
    assert sum(value.numel() for value in delta.parameters()) == 2 * 512 * 128 == 131_072  # ViT-B/16
    for weight, num_in in ((delta.down, 512), (delta.up, 128)):
        bound = num_in**-0.5
        assert weight.abs().max() <= bound
        torch.testing.assert_close(weight.std(), torch.tensor(bound / 3**0.5), rtol=0.02, atol=0)
    read = torch.randn(5, 512)
    wanted = F.relu(F.linear(F.relu(F.linear(read, delta.down)), delta.up))
    assert torch.equal(delta(read), wanted)
    assert delta(read).any()
