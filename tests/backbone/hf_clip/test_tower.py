"""The towers of CLIP and SigLIP of Hugging Face: the same function as transformers, and a table in which every place acts."""

import json

import pytest
import torch
from fixtures.clip import HF_CLIPS, hf_config, random_hf_clip, write_hf_clip
from safetensors.torch import load_file, save_file

from peftlab.backbone.class_texts import class_texts, context_texts
from peftlab.backbone.hf_clip.model import hf_clip
from peftlab.backbone.hf_clip.shapes import shapes
from peftlab.backbone.pair import with_texts
from peftlab.errors import UserError
from peftlab.head.similarity import Similarity
from peftlab.site import POSITIONS, Site

NODE = {"pretrained": True, "sha256": None, "depth": None, "quantise": None}
PLACES = ("q", "k", "v", "out", "mlp1", "mlp2", "attn", "ffn", "kv", "tokens", "norm1", "norm2")
TOWERS = [(kind, tower) for kind in HF_CLIPS for tower in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = str(write_hf_clip(tmp_path_factory.mktemp(kind), kind))
        return made[kind]

    return make


def inputs(seed=1):
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 150, (4, 20), generator=rng)
    for row, end in enumerate((19, 3, 7, 5)):
        ids[row, end + 1 :] = 0
        ids[row, end] = 3
        ids[row, 0] = 155 if end == 7 else ids[row, 0]  # for the files that look for the largest
    return torch.randn(3, 3, 16, 16, generator=rng), ids


@pytest.mark.parametrize("kind", HF_CLIPS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_embeddings_and_logits_are_those_of_transformers(folder, kind, dtype):
    backbone, clip = hf_clip(name=folder(kind), **NODE), random_hf_clip(kind).to(dtype)
    image, text = backbone.towers
    images, ids = inputs()
    images = images.to(dtype)
    with torch.no_grad():
        expected = clip.get_image_features(images).pooler_output, clip.get_text_features(ids).pooler_output
        logits = clip(pixel_values=images, input_ids=ids).logits_per_image
    model = backbone.model.to(dtype)
    ours = image.read(model.image, {"images": images}), text.read(model.text, {"input_ids": ids})
    scale, bias = backbone.similarity
    unit = [torch.nn.functional.normalize(value, dim=-1) for value in ours]
    exact = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {}
    torch.testing.assert_close(ours, expected, **exact)
    similarity = scale * unit[0] @ unit[1].T + bias  # a scale of fp32
    torch.testing.assert_close(similarity, logits, rtol=1e-6, atol=1e-5)
    assert bool(bias) == (kind == "siglip")
    assert image.num_features == ours[0].shape[1] == text.num_features


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_classes_in_words_are_what_its_tokenizer_makes_of_them(folder, kind):
    from transformers import PreTrainedTokenizerFast

    backbone, clip = hf_clip(name=folder(kind), **NODE), random_hf_clip(kind)
    words, images = ["a cat", "a dog", "sea"], inputs()[0]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder(kind)}/tokenizer.json", pad_token="[PAD]")
    given = tokenizer(words, padding="max_length", max_length=20, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = clip(pixel_values=images, input_ids=given.input_ids).logits_per_image
    spec = backbone.towers[1].input_spec
    features = with_texts(backbone, class_texts(spec, [[word] for word in words])).features(
        {"images": images}
    )
    head = Similarity(backbone.num_features, 3, backbone.similarity, torch.Generator(), learn_scale=False)
    torch.testing.assert_close(head(features), logits, rtol=1e-4, atol=1e-4)
    texts = context_texts(spec, words, "of a", "end")
    assert texts.inputs["input_ids"].gather(1, texts.positions).tolist() == [texts.words.tolist()] * 3
    assert (texts.inputs["input_ids"].shape[1] == 20) == (kind == "siglip")


@pytest.mark.parametrize(("kind", "tower"), TOWERS)
def test_every_weight_has_one_place_or_is_outside(folder, kind, tower):
    backbone = hf_clip(name=folder(kind), **NODE)
    part = backbone.towers[tower]
    owned = [name for place in part.places.values() for name, _ in place.parameters]
    word = ("image", "text")[tower]
    weights = [name for name, _ in backbone.model.named_parameters() if name.startswith(f"{word}.")]
    assert sorted([*owned, *part.outside]) == sorted(weights)
    has = {*PLACES, "vector", *(["context"] if tower else [])}
    assert part.positions == tuple(name for name in POSITIONS if name in has)
    assert (part.depth, backbone.num_heads(2 * tower)) == (2, 2 + tower)
    assert part.labels == (f"{word}.0", f"{word}.1")
    prefix = 1 if kind == "siglip" else 0
    assert part.num_prefix_tokens == ((not prefix, prefix)[tower])
    assert part.is_causal == (tower == 1 and kind != "siglip")
    assert not any(value.requires_grad for value in backbone.model.parameters())


@pytest.mark.parametrize(("kind", "tower"), TOWERS)
def test_a_block_adds_what_its_sub_layers_write_to_the_stream(folder, kind, tower):
    backbone = hf_clip(name=folder(kind), **NODE)
    part, seen = backbone.towers[tower], {}
    names = {module: name for name, module in backbone.model.named_modules()}

    def keep(module, args, kwargs, output):
        read = args[0] if args else kwargs.get("hidden_states")
        seen[names[module]] = read, output[0] if isinstance(output, tuple) else output

    for module in names:
        module.register_forward_hook(keep, with_kwargs=True)
    images, ids = inputs()
    given = {"images": images} if tower == 0 else {"input_ids": ids}
    part.read(backbone.model.get_submodule(("image", "text")[tower]), given)

    def at(port):
        return seen[port.module][port.side == "out"]

    for block in range(2):
        place = {name: backbone.place(Site(2 * tower + block, name)) for name in PLACES}
        stream = at(place["tokens"].input)
        torch.testing.assert_close(at(place["norm2"].input), stream + at(place["attn"].output))
        torch.testing.assert_close(at(place["attn"].residual), stream)
        whole = at(place["norm2"].input) + at(place["ffn"].output)
        torch.testing.assert_close(seen[part.blocks[block]][1], whole)
        assert torch.equal(at(place["norm1"].output), at(place["q"].input))


@pytest.mark.parametrize("kind", HF_CLIPS)
def test_shapes_are_those_of_the_network(folder, kind):
    ours, real = shapes({"name": folder(kind), **NODE}), hf_clip(name=folder(kind), **NODE)
    for field in ("name", "blocks", "labels", "places", "outside", "input_spec", "num_features", "refused"):
        assert getattr(ours, field) == getattr(real, field)
    named = {key: value.shape for key, value in real.model.named_parameters()}
    assert {key: value.shape for key, value in ours.model.named_parameters()} == named
    assert all(value.is_meta for value in ours.model.parameters())


def test_what_is_expected_of_pictures_stands_in_a_file(tmp_path):
    folder = write_hf_clip(tmp_path / "own", "siglip")
    assert hf_clip(name=str(folder), **NODE).input_spec.mean == (0.5, 0.5, 0.5)
    given = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1], "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(given))
    spec = hf_clip(name=str(folder), **NODE).input_spec
    assert (spec.size, spec.mean, spec.interpolation) == (16, (0.1, 0.2, 0.3), "bilinear")
    for wrong in ([1, 2], "no", None):
        (folder / "preprocessor_config.json").write_text(json.dumps({"image_std": wrong}))
        with pytest.raises(UserError, match=r"has image_std=.*; legal: three numbers"):
            hf_clip(name=str(folder), **NODE)


def test_random_weights_are_the_same_every_time_and_others_than_those_of_the_file(folder):
    name = folder("clip")
    one, same = (hf_clip(name=name, **{**NODE, "pretrained": False}) for _ in range(2))
    assert one.hash == same.hash != hf_clip(name=name, **NODE).hash
    assert one.hash != hf_clip(name=folder("clip_old"), **{**NODE, "pretrained": False}).hash


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "bert"}, "no tables of two towers for model_type bert; legal: clip, siglip"),
        ({"text_config": {"num_attention_heads": 5, "hidden_size": 24}}, "config.json is that of no network"),
        (
            {"projection_dim": 13},
            r"model\.safetensors does not fit config\.json: 0 weights missing .* 2 of another shape",
        ),
    ],
)
def test_another_config_is_one_sentence(tmp_path, change, said):
    folder = write_hf_clip(tmp_path / "own", "clip")
    (folder / "config.json").write_text(json.dumps({**hf_config("clip"), **change}))
    with pytest.raises(UserError, match=said):
        hf_clip(name=str(folder), **NODE)


def test_a_siglip_without_a_head_and_a_depth_are_refused(tmp_path):
    folder = write_hf_clip(tmp_path / "own", "siglip")
    with pytest.raises(UserError, match="has two towers; legal: null"):
        hf_clip(name=str(folder), **{**NODE, "depth": 2})
    config = hf_config("siglip")
    config["vision_config"]["vision_use_head"] = False
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="vision_use_head=false"):
        hf_clip(name=str(folder), **NODE)


def test_a_file_with_other_names_is_refused_and_old_tables_of_positions_are_not(tmp_path):
    folder = write_hf_clip(tmp_path / "own", "clip")
    file = folder / "model.safetensors"
    state = load_file(file)
    save_file({**state, "text_model.embeddings.position_ids": torch.arange(20)[None]}, file)
    hf_clip(name=str(folder), **NODE)
    save_file({**state, "more": torch.ones(1)}, file)
    with pytest.raises(UserError, match=r"1 not in the model \['more'\]"):
        hf_clip(name=str(folder), **NODE)
    with pytest.raises(UserError, match="does not have sha256 00"):
        hf_clip(name=str(folder), **{**NODE, "sha256": "0" * 64})
