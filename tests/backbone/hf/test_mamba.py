"""Mamba: every layer acts where the equation has it, also the one that transformers multiplies by hand; what it lacks is named."""

import pytest
import torch
from fixtures.text import text_inputs

from peftlab.backbone.hf.layout import published
from peftlab.errors import UserError
from peftlab.site import Site

LAYERS = {"in": "in_proj", "x": "x_proj", "dt": "dt_proj", "out": "out_proj"}
RANK, SCALE = 3, 1.7


@pytest.fixture
def inputs(family):
    return text_inputs(family("mamba").input_spec, (11, 4, 7), torch.Generator().manual_seed(3))


def theirs(backbone, inputs, change=()):
    """The last hidden states of transformers' own network, with something added to some of its weights."""
    from transformers import MambaModel

    state = published(backbone.model, backbone.model.state_dict())
    network = MambaModel(backbone.model.config).eval()
    network.load_state_dict({key: value for key, value in state.items() if "unembedding" not in key})
    with torch.no_grad():
        for name, value in change:
            network.get_parameter(name).add_(value)
        hidden = network(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state
    return hidden[torch.arange(3), inputs["attention_mask"].sum(1) - 1]


def test_features_are_those_of_transformers(family, inputs):
    backbone = family("mamba")
    found = backbone.features(inputs)
    assert found.std() > 0.1
    torch.testing.assert_close(found, theirs(backbone, inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("position", LAYERS)
def test_lora_is_a_product_added_to_the_published_weight(family, recipe, adapt, inputs, position):
    backbone = family("mamba")
    keys = {"peft.rank": RANK, "scaling.value": SCALE, "placement.position": position}
    model, _ = adapt(recipe("lora", **keys), backbone)
    rng = torch.Generator().manual_seed(4)
    change = []
    with torch.no_grad():
        for block in range(2):
            delta = model.delta_at(Site(block, position))
            delta.B.copy_(0.3 * torch.randn(delta.B.shape, generator=rng))
            change.append((f"layers.{block}.mixer.{LAYERS[position]}.weight", SCALE * delta.B @ delta.A))
        ours = model.features(**inputs)
    torch.testing.assert_close(ours, theirs(backbone, inputs, change), rtol=1e-5, atol=1e-5)
    assert (ours - backbone.features(inputs)).abs().max() > 1e-2


def test_dt_reads_and_writes_with_the_bias_that_comes_behind_it(family, recipe, adapt, inputs):
    """SSF: (1 + s) (W x + c) + t, so that it is another weight and another bias."""
    backbone = family("mamba")
    model, _ = adapt(recipe("ssf", cells={"1.dt": {}}), backbone)
    delta = model.delta_at(Site(1, "dt"))
    rng = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in (delta.s, delta.t):
            value.copy_(0.3 * torch.randn(value.shape, generator=rng))
        layer = backbone.model.layers[1].mixer.dt_proj
        name = "layers.1.mixer.dt_proj"
        change = (
            (f"{name}.weight", delta.s.unsqueeze(1) * layer.linear.weight),
            (f"{name}.bias", delta.s * layer.bias + delta.t),
        )
        ours = model.features(**inputs)
    torch.testing.assert_close(ours, theirs(backbone, inputs, change), rtol=1e-5, atol=1e-5)


def test_what_belongs_to_no_linear_layer_belongs_to_the_norm(family):
    places = family("mamba").places
    names = {name.removeprefix("layers.0.") for name, _ in places[Site(0, "norm1")].parameters}
    own = {"norm.weight", "mixer.A_log", "mixer.D", "mixer.conv1d.weight", "mixer.conv1d.bias"}
    assert names == own
    assert [name for name, _ in places[Site(0, "dt")].parameters] == [
        "layers.0.mixer.dt_proj.linear.weight",
        "layers.0.mixer.dt_proj.bias",
    ]


@pytest.mark.parametrize(
    ("position", "why"), [("attn", "attention"), ("kv", "attention"), ("q", "attention"), ("ffn", "FFN")]
)
def test_what_it_lacks_is_said(family, position, why):
    with pytest.raises(UserError, match=rf"has no {position}: its blocks have no {why}"):
        family("mamba").place(Site(0, position))


def test_texts_may_be_as_long_as_wanted(tmp_path):
    """There is no table of positions; by default they are as long as those that Mamba was trained on."""
    from fixtures.text import OPTIONS, write_model

    from peftlab.backbone.hf.model import hf_model

    options = {"name": str(write_model(tmp_path / "model", "mamba")), "pretrained": False, **OPTIONS}
    assert hf_model(**options).input_spec.max_length == 2048
    assert hf_model(**{**options, "max_length": 9000}).input_spec.max_length == 9000


def test_another_s_network_is_refused_since_a_layer_would_have_to_be_replaced():
    from fixtures.text import config_of
    from transformers import AutoConfig, AutoModel

    from peftlab.backbone.hf.own import own_encoder

    with pytest.raises(UserError, match="model=MambaModel has layers in a layout of their own"):
        own_encoder(AutoModel.from_config(AutoConfig.for_model(**config_of("mamba"))), None)


def test_an_exported_folder_is_read_by_transformers(model_folder, tmp_path, inputs):
    from fixtures.text import OPTIONS
    from transformers import AutoModelForCausalLM

    from peftlab.backbone.hf.exported import read_hf, write_hf
    from peftlab.backbone.hf.model import hf_model

    folder = str(model_folder("mamba", "backbone."))
    backbone = hf_model(name=folder, pretrained=True, **{**OPTIONS, "pool": "last"})
    write_hf(backbone, dict(backbone.model.state_dict()), 64, tmp_path)
    model, told = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["unexpected_keys"]
    assert not told["missing_keys"]
    with torch.no_grad():
        logits = model.eval()(input_ids=inputs["input_ids"]).logits
        ours = backbone.unembedding(backbone.features(inputs))
    last = logits[torch.arange(3), inputs["attention_mask"].sum(1) - 1]
    torch.testing.assert_close(ours, last, rtol=1e-5, atol=1e-5)
    assert torch.equal(read_hf(tmp_path).features(inputs), backbone.features(inputs))
