"""Every method between images and classes on two towers of open_clip and of Hugging Face."""

import pytest
import torch
from fixtures.clip import clip_towers, random_hf_clip, write_clip, write_hf_clip

from peftlab.backbone.choice import random_of, shapes_of
from peftlab.backbone.hf_clip.tower import image_tower
from peftlab.build.cell import build_cell, place_on
from peftlab.build.classes import example_classes
from peftlab.build.early import cell_of_shapes, empty_head
from peftlab.build.start import Start
from peftlab.config.compose import composed
from peftlab.config.directory import config_dir
from peftlab.config.resolve import resolve
from peftlab.inputs.image import InputSpec
from peftlab.model.methods import table
from peftlab.network.network import Network
from peftlab.peft.view import EVAL

METHODS = sorted(file.stem for file in (config_dir() / "peft").glob("*.yaml"))
# what of them needs training items, or clips
ASKED = (*(name for name in METHODS if name.startswith("mask_")), "aim", "st_adapter")
ONE_OF_EACH = ("lora", "prefix", "vpt_deep", "maple", "bitfit")
MORE = {
    "clip_adapter": ["peft.depth=all"],
    "coop": ["peft.num_tokens=4"],
    "maple": ["peft.depth=0-1"],
    **{
        key: ["peft.parts.lora.depth=image.0", "peft.parts.prefix.depth=image.1"] for key in ("hlpt", "h2lpt")
    },
}
# prompts and prefixes change the attention whatever their values are, and contexts begin as other tokens
MOVED = (
    "prefix",
    "mam",
    "unipelt",
    "hlpt",
    "h2lpt",
    "noah",
    "gated_prompt",
    "soft_prompt",
    "vpt_deep",
    "vpt_shallow",
)
MOVED += ("maple", "coop", "cocoop", "clip_adapter")
IN_PLACE = ("bitfit", "full", "layernorm", "linear_probe", "partial")
ONE = {"coop": "text", "cocoop": "text", "hlpt": "image", "h2lpt": "image"}  # the tower that it acts in


# the small tokenizer of Hugging Face's reads letter by letter
LETTERS = {"cocoop": ["peft.words=a a a a"], "maple": ["peft.words=a a"]}
KINDS = [("open_clip", "plain"), ("open_clip", "siglip"), ("hf_clip", "clip"), ("hf_clip", "siglip")]


@pytest.fixture(scope="module")
def words_of(tmp_path_factory):
    """What is typed for a small network."""
    made = {}

    def make(backbone, kind):
        if (backbone, kind) not in made:
            write = {"open_clip": write_clip, "hf_clip": write_hf_clip}[backbone]
            folder = write(tmp_path_factory.mktemp(kind), kind)
            made[backbone, kind] = ["task=contrast", f"backbone={backbone}", f"backbone.name={folder}"]
        return made[backbone, kind]

    return make


def built(words):
    resolved = resolve(composed(*words))
    backbone = example_classes(resolved, resolved.backbone(), 3)
    head = empty_head(resolved, backbone, 3)
    return backbone, build_cell(resolved, backbone, place_on(resolved, backbone), Start(head)).cell


@pytest.mark.parametrize(("choice", "kind"), KINDS)
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[] if name in ONE_OF_EACH else pytest.mark.slow)
        for name in METHODS
        if name not in ASKED
    ],
)
def test_every_site_of_both_towers_acts_and_the_start_is_the_frozen_network(words_of, method, choice, kind):
    letters = LETTERS.get(method, []) if choice == "hf_clip" else []
    backbone, cell = built([*words_of(choice, kind), f"peft={method}", *MORE.get(method, []), *letters])
    network = Network(backbone)
    network.check(cell)
    towers = {backbone.labels[site.block].partition(".")[0] for site in cell.sites}
    both = set() if method in IN_PLACE else {"image", "text"}
    assert towers == ({ONE[method]} if method in ONE else both)
    inputs = {"images": torch.randn(2, 3, 16, 16)}
    with torch.no_grad():  # where a mask is trained, torch may choose another attention kernel
        features = network.features([cell], inputs)[0]
        frozen = backbone.features(inputs)
    # for weights that are trained torch may choose another product
    most = 1e-5 if method in IN_PLACE else 0.0
    assert torch.allclose(features, frozen, rtol=0, atol=most) == (method not in MOVED)
    width = backbone.num_features
    assert features.shape == ((2, 4, width) if method == "cocoop" else (5, width))
    assert torch.isfinite(features).all()


@pytest.mark.parametrize(("choice", "kind"), KINDS)
@pytest.mark.parametrize("method", ["vpt_deep", "soft_prompt", "prefix", "lora"])
def test_no_token_of_a_causal_tower_sees_a_later_one(words_of, method, choice, kind):
    backbone, cell = built([*words_of(choice, kind), f"peft={method}", "placement.tower=text"])
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for value in cell.deltas.parameters():
            value.copy_(0.2 * torch.randn(value.shape, generator=rng))
    norm = next(name for name in ("ln_final", "network.final_layer_norm") if _has(backbone.model.text, name))
    seen = []
    handle = backbone.model.text.get_submodule(norm).register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    inputs, ids = {"images": torch.randn(1, 3, 16, 16)}, backbone.texts.inputs["input_ids"]
    with torch.no_grad():
        Network(backbone).features([cell], inputs)
        ids[:, 2] -= 1
        Network(backbone).features([cell], inputs)
    handle.remove()
    assert seen[0].shape[:2] == ids.shape
    assert torch.equal(seen[0][:, :2], seen[1][:, :2]) == (kind != "siglip")
    assert not torch.equal(seen[0][:, 2:], seen[1][:, 2:])


def _has(module, name):
    return name in dict(module.named_modules())


@pytest.mark.parametrize(("choice", "kind"), [("open_clip", "plain"), ("hf_clip", "clip")])
@pytest.mark.parametrize(("tower", "changed"), [("image", [True, False]), ("text", [False, True])])
def test_one_tower_leaves_the_vectors_of_the_other(words_of, choice, kind, tower, changed):
    backbone, cell = built([*words_of(choice, kind), "peft=lora", f"placement.tower={tower}"])
    with torch.no_grad():
        for value in cell.deltas.parameters():
            value.add_(0.1)
        inputs = {"images": torch.randn(2, 3, 16, 16)}
        features, frozen = Network(backbone).features([cell], inputs)[0], backbone.features(inputs)
    assert [not torch.equal(features[part], frozen[part]) for part in (slice(2), slice(2, 5))] == changed


@pytest.mark.parametrize(("choice", "kind"), KINDS)
def test_its_shapes_have_its_sites(words_of, choice, kind):
    resolved = resolve(composed(*words_of(choice, kind), "peft=lora"))
    assert (
        cell_of_shapes(resolved, shapes_of(resolved.backbone)).sites
        == built([*words_of(choice, kind), "peft=lora"])[1].sites
    )
    assert random_of(resolved.backbone).labels == ("image.0", "image.1", "text.0", "text.1")


def blocks_by_hand(name, model, images, change):
    """The blocks of an image tower, of which the first reads what `change` makes of what enters it."""
    if name == "open_clip":
        x, blocks = model._embeds(images), model.transformer.resblocks
        call = lambda block, x: block(x)  # noqa: E731
    else:
        network = model.network
        x, blocks = network.pre_layrnorm(network.embeddings(images)), network.encoder.layers
        call = lambda block, x: block(x, None)  # noqa: E731
    x = change(blocks[0], x)
    for block in blocks:
        x = call(block, x)
    if name == "open_clip":
        return model._pool(x)[0] @ model.proj
    return model.projection(model.network.post_layernorm(x[:, 0]))


@pytest.mark.parametrize("insertion", ["before", "over_time"])
@pytest.mark.parametrize("choice", ["open_clip", "hf_clip"])
def test_what_acts_before_a_norm_acts_on_the_stream_around_the_sub_layer(adapt, recipe, choice, insertion):
    spec = InputSpec(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0)
    image = (
        clip_towers("layer_scale").image
        if choice == "open_clip"
        else image_tower(random_hf_clip("clip"), "own", spec, 12)
    )
    keys = {"peft.positions": ["norm1"], "peft.insertion": insertion}
    config = recipe("adapter_houlsby", cells={"0.norm1": {}}, **keys)
    config["dataset"] = recipe("aim")["dataset"]  # clips
    model, _ = adapt(config, image)
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.add_(0.1)
    images = torch.randn(2, 2, 3, 16, 16)  # two clips of two frames
    delta = model.eval().deltas["0_norm1"]

    def change(block, x):
        if insertion == "before":
            return x + delta(x, EVAL)
        norm, attention = (
            getattr(block, key)
            for key in (("ln_1", "attn") if choice == "open_clip" else ("layer_norm1", "self_attn"))
        )
        by_token = norm(x).unflatten(0, (2, 2)).transpose(1, 2).flatten(0, 1)
        seen = attention(by_token)[0].unflatten(0, (2, -1)).transpose(1, 2).flatten(0, 1)
        return x + delta(seen, EVAL)

    with torch.no_grad():
        frames = blocks_by_hand(choice, image.model, images.flatten(0, 1), change)
        torch.testing.assert_close(
            model.features(clips=images), frames.unflatten(0, (2, 2)).mean(1), rtol=1e-4, atol=1e-4
        )


@pytest.mark.slow
def test_published_counts_at_vit_b_16():
    """CoOp with 16 words, CoCoOp with 4, MaPLe with 2 in nine blocks; at the defaults."""
    published = {"coop": 8_192, "cocoop": 35_360, "maple": 3_555_072}
    counts = table(list(published), ["clip_vit_b_16.openai"])
    assert {name: found for name, (found,) in counts.items()} == published
