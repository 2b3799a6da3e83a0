"""CoCoOp against a loop over images."""

import torch
from fixtures.duo import NAMES, image_vectors, looked_up, moved, pair_of, pictures, text_vectors

from peftlab.inputs.text import TOKENS_AT_ONCE
from peftlab.peft.cocoop import Cocoop
from peftlab.peft.view import View, Words

SCALE = 10.0
OPTIONS = ("peft=cocoop", "peft.words=abc", "peft.num_tokens=3")


def test_scores():
    made = pair_of(*OPTIONS)
    moved(made.cell)
    (anchor,) = made.cell.anchors
    own = anchor.delta
    images = pictures(3)
    table = made.backbone.model.text.get_input_embeddings().weight
    rows = []
    for x in image_vectors(made.backbone, images):
        hidden = torch.relu(own.down @ x + own.down_bias)
        vectors = table[made.backbone.texts.words] + own.delta + own.up @ hidden + own.up_bias
        embedded, mask = looked_up(made.backbone)
        embedded = embedded.clone()
        for row, positions in enumerate(made.backbone.texts.positions):
            embedded[row, positions] = vectors
        rows.append(SCALE * text_vectors(made.backbone, embedded, mask) @ x)
    torch.testing.assert_close(made.logits(images), torch.stack(rows))
    assert len(rows[0]) == len(NAMES)


def test_without_a_gradient_few_images_are_read_at_once_and_say_the_same(monkeypatch):
    made = pair_of(*OPTIONS)
    moved(made.cell)
    images, seen = pictures(5), []
    made.backbone.model.text.register_forward_hook(lambda module, args, output: seen.append(len(output[0])))
    monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 2 * made.backbone.texts.inputs["input_ids"].numel())
    whole = made.logits(images)
    assert seen == [5 * len(NAMES)]
    with torch.no_grad():
        torch.testing.assert_close(made.logits(images), whole.detach())
    assert seen[1:] == [2 * len(NAMES), 2 * len(NAMES), len(NAMES)]


def test_every_parameter_has_a_gradient_and_so_has_the_image_tower():
    made = pair_of(*OPTIONS)
    images = pictures(2).requires_grad_()
    made.logits(images).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in made.cell.theta().values())
    assert images.grad.abs().sum() > 0


def test_counts():
    """35,360 at ViT-B/16 with four tokens: Zhou et al. 2022."""
    view = View(512, 512, words=Words(torch.zeros(4, 512), 10))
    delta = Cocoop(view, torch.Generator(), num_tokens=4, words="a photo of a", place="end", bottleneck=None)
    assert sum(value.numel() for value in delta.parameters()) == 35_360
