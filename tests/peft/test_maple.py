"""MaPLe against both towers, block by block."""

import pytest
import torch
from fixtures.duo import image_vectors, looked_up, moved, pair_of, pictures

from peftlab.errors import UserError
from peftlab.peft.maple import Coupled

SCALE = 10.0
OPTIONS = ("peft=maple", "peft.words=abc", "peft.num_tokens=3")


def coupled(made) -> Coupled:
    return made.cell.anchors[0].delta.coupled


def text_by_hand(made, num_blocks):
    shared, tower = coupled(made), made.backbone.model.text
    embedded, mask = looked_up(made.backbone)
    embedded = embedded.clone()
    positions = made.backbone.texts.positions
    table = tower.get_input_embeddings().weight
    for row in range(len(embedded)):
        embedded[row, positions[row]] = table[made.backbone.texts.words] + shared.P["0"]
    hidden = tower.embeddings(inputs_embeds=embedded)
    wide = torch.zeros(len(mask), 1, 1, mask.shape[1], dtype=hidden.dtype).masked_fill(
        mask[:, None, None] == 0, -1e30
    )
    for number, block in enumerate(tower.encoder.layer):
        if 0 < number < num_blocks:
            hidden = hidden.clone()
            for row in range(len(hidden)):
                hidden[row, positions[row]] = shared.P[str(number)]
        hidden = block(hidden, wide)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    found = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
    return found / found.norm(dim=-1, keepdim=True)


def image_by_hand(made, images, num_blocks):
    shared, tower = coupled(made), made.backbone.model.image
    vit, table = tower.trunk, made.backbone.model.text.get_input_embeddings().weight
    x = vit.norm_pre(vit._pos_embed(vit.patch_embed(images)))
    num, prompts = x.shape[1], None
    for number, block in enumerate(vit.blocks):
        if number < num_blocks:
            vectors = shared.P[str(number)]
            vectors = vectors + table[made.backbone.texts.words] if number == 0 else vectors
            prompts = vectors @ shared.W[str(number)].T + shared.b[str(number)]
            prompts = prompts.expand(len(x), -1, -1)
        both = block(torch.cat([x, prompts], 1))
        x, prompts = both[:, :num], both[:, num:]
    tokens = vit.norm(x)
    found = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], -1) @ tower.proj.weight.T + tower.proj.bias
    return found / found.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize(("depth", "num_blocks"), [("0", 1), ("0-1", 2)])
def test_scores(depth, num_blocks):
    made = pair_of(*OPTIONS, f"peft.depth={depth}")
    moved(made.cell)
    images = pictures(3)
    wanted = SCALE * image_by_hand(made, images, num_blocks) @ text_by_hand(made, num_blocks).T
    torch.testing.assert_close(made.logits(images), wanted)
    plain = SCALE * image_vectors(made.backbone, images) @ text_by_hand(made, num_blocks).T
    assert not torch.allclose(wanted, plain), "prompts among the images change nothing"


def test_every_parameter_is_there_once_and_has_a_gradient():
    made = pair_of(*OPTIONS, "peft.depth=0-1")
    theta = made.cell.theta()
    assert len(theta) == 6  # P, W, b of two blocks
    assert made.cell.num_parameters()["delta"] == 2 * (3 * 16 + 16 * 16 + 16)
    made.logits(pictures(2)).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in theta.values())


def test_other_values_in_a_forward_leave_the_cell_as_it_was():
    """The outer step of a meta-learned gamma puts others in the place of theta."""
    made = pair_of(*OPTIONS, "peft.depth=0-1")
    images = {"images": pictures(2)}
    before = made.cell.theta()
    other = {name: value.detach() + 0.1 for name, value in before.items()}
    found = torch.func.functional_call(made.cell, other, (made.network, images))
    after = made.cell.theta()
    assert all(after[name] is value for name, value in before.items())
    assert all(value.requires_grad for value in after.values())
    assert not torch.allclose(found, made.logits(images["images"]))
    with torch.no_grad():
        for name, value in after.items():
            value.copy_(other[name])
    torch.testing.assert_close(found, made.logits(images["images"]))


def test_the_norm_before_the_first_block():
    """CLIP's image towers have one: MaPLe's prompts pass it."""
    made = pair_of(*OPTIONS, "peft.depth=0")
    norm = torch.nn.LayerNorm(16, dtype=torch.float64)
    torch.nn.init.normal_(norm.weight)
    image = next(anchor.delta for anchor in made.cell.anchors if anchor.site.position == "tokens")
    plain = image(None, None, None, None)
    image._norm = (norm,)
    torch.testing.assert_close(image(None, None, None, None), norm(plain))


def test_counts():
    """3,555,072 at ViT-B/16: Khattak et al. 2023."""
    shared = Coupled(dict.fromkeys(range(9), 512), dict.fromkeys(range(9), 768), 2, torch.Generator())
    assert sum(value.numel() for value in shared.parameters()) == 3_555_072


def test_blocks_that_both_towers_have():
    made = pair_of(*OPTIONS, "peft.depth=[text,image.0]")
    assert [str(site) for site in made.cell.sites] == ["0.tokens", "2.context"]


def test_one_tower_alone_is_refused():
    with pytest.raises(UserError, match=r"couples text\.0 with image\.0, and one of them is not placed"):
        pair_of(*OPTIONS, "placement.tower=image")
    with pytest.raises(UserError, match=r"peft\.num_tokens=2, but peft\.words=abc are 3 tokens"):
        pair_of("peft=maple", "peft.words=abc", "peft.depth=0")
