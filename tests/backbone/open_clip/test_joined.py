"""A CLIP of open_clip as one backbone: its logits before training, its towers' labels, and every method between them."""

import pytest
import torch
from fixtures.clip import write_clip

from peftlab.backbone.class_texts import class_texts, context_texts
from peftlab.backbone.open_clip.model import open_clip_model, tokenizer_of
from peftlab.backbone.open_clip.shapes import shapes
from peftlab.backbone.pair import with_texts
from peftlab.errors import UserError
from peftlab.head.similarity import Similarity
from peftlab.site import Site

NODE = {"pretrained": None, "checkpoint": None, "sha256": None, "depth": None, "quantise": None}
TEXTS = ["a photo of a very very small brown cat.", "a dog", "seven trees"]  # the first has twelve tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lambda kind: str(write_clip(tmp_path_factory.mktemp(kind), kind))


def scores(backbone, images):
    head = Similarity(12, 3, backbone.similarity, torch.Generator(), learn_scale=False)
    return head(backbone.features({"images": images}))


@pytest.mark.parametrize("kind", ["plain", "layer_scale", "siglip"])
def test_logits_are_those_of_open_clip(folder, kind):
    import open_clip

    name = folder(kind)
    backbone = open_clip_model(name=name, **NODE)
    clip = create(open_clip, name)
    ids = tokenizer_of(name, {})(TEXTS)
    assert ids[0].count_nonzero() == 12
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        expected, _ = clip.get_logits(images, ids)
    with_classes = with_texts(
        backbone, class_texts(backbone.towers[1].input_spec, [[text] for text in TEXTS])
    )
    torch.testing.assert_close(scores(with_classes, images), expected)


def create(open_clip, name):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clip = open_clip.create_model(f"local-dir:{name}").eval()
    own = open_clip_weights(name)
    clip.load_state_dict(own, strict=True)
    return clip


def open_clip_weights(name):
    from peftlab.backbone.open_clip.model import created

    return created(name, None, None, None)[0].state_dict()


def test_the_towers_have_their_labels_and_the_whole_a_hash(folder):
    name = folder("plain")
    one, same = open_clip_model(name=name, **NODE), open_clip_model(name=name, **NODE)
    assert one.labels == ("image.0", "image.1", "text.0", "text.1")
    assert one.place(Site(2, "q")).output.module == "text.transformer.resblocks.0.attn.qkv"
    assert one.place(Site(2, "context")).num_out == 24
    assert (one.hash, one.name) == (same.hash, name.rpartition("/")[2])
    others = {
        open_clip_model(name=folder(kind), **NODE).hash for kind in ("quick_gelu", "layer_scale", "siglip")
    }
    assert one.hash not in others
    assert len(others) == 3


@pytest.mark.parametrize("kind", ["plain", "siglip", "first", "attention_pool"])
def test_shapes_are_those_of_the_network(folder, kind):
    name = folder(kind)
    ours, real = shapes({"name": name, **NODE}), open_clip_model(name=name, **NODE)
    for field in ("name", "blocks", "labels", "places", "outside", "input_spec", "num_features", "refused"):
        assert getattr(ours, field) == getattr(real, field)
    assert all(value.is_meta for value in ours.model.parameters())
    named = {key: value.shape for key, value in real.model.named_parameters()}
    assert {key: value.shape for key, value in ours.model.named_parameters()} == named


@pytest.mark.parametrize("kind", ["plain", "siglip"])
def test_the_tokens_of_a_context_are_found_whether_or_not_texts_are_padded(folder, kind):
    spec = open_clip_model(name=folder(kind), **NODE).towers[1].input_spec
    texts = context_texts(spec, ["cat", "grey seal"], "a photo of", "end")
    assert texts.positions.tolist() == [[1, 2, 3]] * 2
    assert texts.words.tolist() == [320, 1125, 539]
    middle = context_texts(spec, ["cat", "grey seal"], "a photo of", "middle")
    assert middle.positions.tolist() == [[1, 3, 4], [1, 4, 5]]
    assert texts.inputs["input_ids"].shape[1] == (12 if kind == "siglip" else 8)


def test_a_depth_is_refused(folder):
    with pytest.raises(UserError, match=r"backbone\.depth=2, but .* has two towers; legal: null"):
        open_clip_model(name=folder("plain"), **{**NODE, "depth": 2})
