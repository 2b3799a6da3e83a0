"""The towers of open_clip: the same function as its own network, and a table in which every place acts."""

import pytest
import torch
from fixtures.clip import CLIPS, clip_inputs, clip_towers, random_clip
from torch.nn import functional as F

from peftlab.errors import UserError
from peftlab.site import POSITIONS, Site

PLACES = ("q", "k", "v", "out", "mlp1", "mlp2", "attn", "ffn", "kv", "tokens", "norm1", "norm2")
TOWERS = [(kind, tower) for kind in CLIPS for tower in ("image", "text")]


def inputs_of(tower, ids=None):
    images, given = clip_inputs()
    ids = given if ids is None else ids
    mask = (torch.arange(ids.shape[1]) <= ids.argmax(-1, keepdim=True)).long()
    return {"images": images} if tower == "image" else {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("kind", CLIPS)
def test_embeddings_and_logits_are_those_of_open_clip(kind):
    """In float64: which product torch takes for a layer, and so the last bits, depends on the processor and on gradients."""
    images, ids = clip_inputs()
    images, clip = images.double(), random_clip(kind).double()
    with torch.no_grad():
        expected = clip.encode_image(images), clip.encode_text(ids), clip.get_logits(images, ids)[0]
    towers = clip_towers(kind)
    for tower in (towers.image, towers.text):
        tower.model.double()
    image = towers.image.features({**inputs_of("image"), "images": images})
    text = towers.text.features(inputs_of("text"))
    ours = towers.scale * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T
    ours = ours if towers.bias is None else ours + towers.bias
    torch.testing.assert_close((image, text), expected[:2], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours, expected[2], rtol=1e-6, atol=1e-6)  # the scale and the bias are of fp32
    assert image.shape[1] == towers.image.num_features == text.shape[1] == towers.text.num_features == 12
    assert (towers.bias is None) == (kind != "siglip")


@pytest.mark.parametrize("kind", CLIPS)
def test_and_in_float32_up_to_rounding(kind):
    images, ids = clip_inputs()
    clip = random_clip(kind)
    with torch.no_grad():
        embedded = clip.encode_image(images), clip.encode_text(ids)
    towers = clip_towers(kind)
    ours = towers.image.features(inputs_of("image")), towers.text.features(inputs_of("text"))
    torch.testing.assert_close(ours, embedded)


@pytest.mark.parametrize(("kind", "tower"), TOWERS)
def test_every_weight_has_one_place_or_is_outside(kind, tower):
    backbone = getattr(clip_towers(kind), tower)
    owned = [name for place in backbone.places.values() for name, _ in place.parameters]
    weights = [name for name, _ in backbone.model.named_parameters()]
    assert sorted({*owned, *backbone.outside}) == sorted(weights)
    assert all(owned.count(name) == (3 if ".qkv." in name else 1) for name in owned)
    assert backbone.positions == tuple(name for name in POSITIONS if name in PLACES)
    assert (backbone.depth, backbone.num_heads(0)) == (2, 2 if tower == "image" else 3)
    assert not any(value.requires_grad for value in backbone.model.parameters())
    second = {name for name, _ in backbone.place(Site(0, "norm2")).parameters}
    assert all("ln_2" in name or "ls_2" in name for name in second)


@pytest.mark.parametrize(("kind", "tower"), TOWERS)
def test_a_block_adds_what_its_sub_layers_write_to_the_stream(kind, tower):
    """x <- x + attn, x <- x + ffn, out of the tensors at the ports of the table alone."""
    backbone = getattr(clip_towers(kind), tower)
    seen = {}

    def keep(module, args, output):
        seen[names[module]] = args[0], output[0] if isinstance(output, tuple) else output

    names = {module: name for name, module in backbone.model.named_modules()}
    for module in names:
        module.register_forward_hook(keep)
    backbone.features(inputs_of(tower))

    def at(port):
        index, count = port.slice
        return seen[port.module][port.side == "out"].chunk(count, -1)[index]

    for block in range(2):
        place = {name: backbone.place(Site(block, name)) for name in PLACES}
        stream = at(place["tokens"].input)
        torch.testing.assert_close(at(place["norm2"].input), stream + at(place["attn"].output))
        torch.testing.assert_close(at(place["attn"].residual), stream)
        whole = at(place["norm2"].input) + at(place["ffn"].output)
        torch.testing.assert_close(seen[backbone.blocks[block]][1], whole)
        q, k, v = (
            at(place[name].output).unflatten(-1, (backbone.num_heads(block), -1)).transpose(1, 2)
            for name in "qkv"
        )
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if backbone.is_causal:
            scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
        heads = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(at(place["out"].input), heads)
        assert torch.equal(at(place["mlp1"].input), at(place["norm2"].output))


@pytest.mark.parametrize("kind", ["plain", "quick_gelu", "layer_scale", "attention_pool"])
def test_a_causal_tower_does_not_read_behind_the_end_of_a_text(kind):
    text = clip_towers(kind).text
    _, ids = clip_inputs()
    other = ids.clone()
    other[1, 4:] = torch.arange(8) + 5  # behind the token that ends it
    assert torch.equal(text.features(inputs_of("text"))[1], text.features(inputs_of("text", other))[1])
    short = text.features({"input_ids": ids[1:, :8]})
    torch.testing.assert_close(short, text.features(inputs_of("text"))[1:])


def test_a_timm_trunk_is_the_tower_itself():
    from open_clip import SimpleTokenizer
    from open_clip.factory import PreprocessCfg, asdict
    from open_clip.model import CLIP

    from peftlab.backbone.open_clip.model import towers_of

    vision = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "token", "timm_proj": None}
    given = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": {**clip_text(), "vocab_size": 20}}
    clip = CLIP(**given).eval()
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        embedded = clip.encode_image(images)
    image = towers_of(clip, "own", given, asdict(PreprocessCfg()), SimpleTokenizer()).image
    assert torch.equal(image.features({"images": images}), embedded)
    assert (image.depth, image.num_features, image.input_spec.size) == (12, 12, 224)
    assert "q" in image.positions


def clip_text():
    return {"context_length": 12, "width": 24, "heads": 3, "layers": 1}


def test_blocks_of_another_kind_are_refused():
    from open_clip.model import CLIP

    from peftlab.backbone.open_clip.tower import text_tower

    custom = {**clip_text(), "vocab_size": 20, "scale_attn": True}
    vision = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8}
    with pytest.raises(UserError, match="CustomResidualAttentionBlock"):
        text_tower(CLIP(12, vision, custom), "own", clip_towers("plain").text.input_spec, 12)
