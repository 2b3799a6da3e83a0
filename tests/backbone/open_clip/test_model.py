"""open_clip's networks: built from its descriptions, with weights of files in the layouts that are published."""

import hashlib
import warnings

import pytest
import torch
from fixtures.clip import CLIPS, clip_inputs, write_clip
from safetensors.torch import save_file

from peftlab.backbone.open_clip.model import created, tokenizer_of, towers_of
from peftlab.errors import UserError


def network(folder, checkpoint=None, sha256=None):
    return created(str(folder), None, checkpoint and str(checkpoint), sha256)[0]


def varied(folder):
    """The numbers of another network of the same description."""
    state = network(folder).state_dict()
    rng = torch.Generator().manual_seed(5)
    return {key: torch.randn(value.shape, generator=rng) for key, value in state.items()}


@pytest.mark.parametrize("kind", CLIPS)
def test_it_is_the_network_that_open_clip_makes_of_the_description(tmp_path, kind):
    import open_clip

    clip = network(write_clip(tmp_path / "own", kind))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = open_clip.create_model(f"local-dir:{tmp_path / 'own'}")
    assert type(clip) is type(theirs)
    theirs.load_state_dict(clip.state_dict(), strict=True)
    images, ids = clip_inputs()
    with torch.no_grad():
        for own, other in zip(
            clip.eval().get_logits(images, ids), theirs.eval().get_logits(images, ids), strict=True
        ):
            assert torch.equal(own, other)


def test_random_weights_are_the_same_every_time_and_leave_the_global_stream_alone(tmp_path):
    folder = write_clip(tmp_path / "own", "plain")
    before = torch.get_rng_state()
    first, second = network(folder).state_dict(), network(folder).state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert torch.equal(torch.get_rng_state(), before)


def layouts(state):
    """How one network lies in the files that people have published."""
    half = {key: value.half() for key, value in state.items()}
    openai = {"input_resolution": torch.tensor(16), "context_length": torch.tensor(12)}
    return {
        "plain.pt": state,  # RemoteCLIP, GeoRSCLIP
        "state_dict.pt": {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}},
        "half.pt": {**half, **openai, "vocab_size": torch.tensor(49408)},
        "vector.pt": {**state, "logit_scale": state["logit_scale"].reshape(1)},
        "whole.safetensors": state,
    }


@pytest.mark.parametrize("file", ["plain.pt", "state_dict.pt", "half.pt", "vector.pt", "whole.safetensors"])
def test_a_file_in_a_published_layout(tmp_path, file):
    folder = write_clip(tmp_path / "own", "plain")
    state = varied(folder)
    whole = layouts(state)[file]
    path = tmp_path / file
    save_file(whole, path) if path.suffix == ".safetensors" else torch.save(whole, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = network(folder, path, sha256).state_dict()
    expected = {key: value.half().float() if file == "half.pt" else value for key, value in state.items()}
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())
    with pytest.raises(UserError, match="does not have sha256 0000"):
        network(folder, path, "0" * 64)


def test_a_file_with_its_text_part_in_the_clip_itself_goes_into_a_network_with_a_text_tower(tmp_path):
    plain = write_clip(tmp_path / "plain", "plain")
    apart = write_clip(tmp_path / "apart", "plain", {"custom_text": True})
    state = varied(plain)
    torch.save(state, tmp_path / "file.pt")
    loaded = network(apart, tmp_path / "file.pt").state_dict()
    assert torch.equal(loaded["text.token_embedding.weight"], state["token_embedding.weight"])
    assert torch.equal(loaded["visual.proj"], state["visual.proj"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("visual.proj"), r"1 weights missing \['visual.proj'\], 0 not in the model"),
        (
            lambda state: state.update(more=torch.ones(2)),
            r"0 weights missing \[\], 1 not in the model \['more'\]",
        ),
        (
            lambda state: state.update({"visual.positional_embedding": torch.ones(10, 16)}),
            r"1 of another shape \['visual.positional_embedding'\]",
        ),
    ],
)
def test_a_file_of_another_network_is_refused(tmp_path, change, said):
    folder = write_clip(tmp_path / "own", "plain")
    state = varied(folder)
    change(state)
    torch.save(state, tmp_path / "file.pt")
    with pytest.raises(UserError, match=rf"file\.pt is not a .*own: .*{said}"):
        network(folder, tmp_path / "file.pt")


@pytest.mark.parametrize(
    "changes", [{"vision_cfg": {"head_width": 32}}, {"vision_cfg": {"depth": 2}}, {"text_cfg": {"heads": 5}}]
)
def test_a_description_of_no_network_is_refused(tmp_path, changes):
    folder = write_clip(tmp_path / "own", "plain", changes)
    with pytest.raises(UserError, match="its description is that of no network"):
        network(folder)


def test_a_tokenizer_of_another_network_is_refused(tmp_path):
    folder = write_clip(tmp_path / "own", "plain")
    with pytest.raises(UserError, match="its tokenizer gives tokens up to 49407, and the network has 160"):
        tokenizer_of(str(folder), {"vocab_size": 160})


def test_a_tokenizer_that_cannot_be_had_is_one_sentence(tmp_path):
    folder = write_clip(tmp_path / "own", "plain", {"text_cfg": {"hf_tokenizer_name": "no/such"}})
    with pytest.raises(UserError, match="its tokenizer no/such cannot be had") as refused:
        tokenizer_of(str(folder), {"hf_tokenizer_name": "no/such"})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("tag", ["openai", "laion2b_s34b_b88k"])
def test_published_weights_come_by_open_clip_s_own_way_with_the_activation_that_they_were_trained_with(
    tmp_path, monkeypatch, tag
):
    from open_clip import factory

    folder = write_clip(tmp_path / "own", "plain")
    torch.save(varied(folder), tmp_path / "file.pt")
    small = factory.get_model_config(f"local-dir:{folder}")
    asked = []

    def download(given):
        asked.append(given)
        return str(tmp_path / "file.pt")

    monkeypatch.setattr(factory, "download_pretrained", download)
    monkeypatch.setattr("peftlab.backbone.open_clip.model.model_config", lambda name: small)
    clip, config, preprocess = created("ViT-B-16", tag, None, None)
    assert asked == [factory.get_pretrained_cfg("ViT-B-16", tag)]
    assert type(clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == (
        "QuickGELU" if tag == "openai" else "GELU"
    )
    assert torch.equal(clip.visual.proj, torch.load(tmp_path / "file.pt")["visual.proj"])
    assert preprocess["interpolation"] == "bicubic"
    image = towers_of(clip, "ViT-B-16", config, preprocess, tokenizer_of("ViT-B-16", {})).image
    assert image.input_spec.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)
    assert image.input_spec.size == 16


def test_published_weights_that_cannot_be_had_are_one_sentence(monkeypatch):
    from open_clip import factory

    def download(given):
        raise OSError("no network\nand more")

    monkeypatch.setattr(factory, "download_pretrained", download)
    monkeypatch.setattr("peftlab.backbone.open_clip.model._network", lambda *given: torch.nn.Linear(1, 1))
    with pytest.raises(
        UserError, match=r"backbone\.pretrained=openai: the weights of ViT-B-16 cannot be had \(no network\)"
    ):
        created("ViT-B-16", "openai", None, None)
