"""A network without numbers has the table of the one with them, and takes no memory."""

import pytest
import torch
from fixtures.text import CAUSAL, ENCODER_DECODERS, OPTIONS, write_model

from peftlab.backbone.hf.model import hf_model
from peftlab.backbone.hf.shapes import shapes
from peftlab.errors import UserError


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", *CAUSAL, *ENCODER_DECODERS])
def test_the_same_table_without_numbers(tmp_path, kind):
    options = {
        "name": str(write_model(tmp_path / "model", kind)),
        "pretrained": False,
        **OPTIONS,
        "pool": None,
    }
    found, real = shapes(options), hf_model(**options)
    for field in (
        "blocks",
        "labels",
        "places",
        "outside",
        "num_features",
        "num_prefix_tokens",
        "is_causal",
        "rotary",
        "relative",
        "decoder",
    ):
        assert getattr(found, field) == getattr(real, field), field
    assert {value.device.type for value in found.model.parameters()} == {"meta"}
    named = dict(real.model.named_parameters())
    assert {name: value.shape for name, value in found.model.named_parameters()} == {
        name: value.shape for name, value in named.items()
    }
    assert found.features(
        {key: value.to("meta") for key, value in found.input_spec.example().items()}
    ).shape == (1, 16)


def test_a_depth_that_is_not_the_model_s_is_refused_without_numbers(tmp_path):
    options = {
        "name": str(write_model(tmp_path / "model", "llama")),
        "pretrained": False,
        **OPTIONS,
        "depth": 7,
    }
    with pytest.raises(UserError, match=r"backbone\.depth=7, but model has 2 blocks"):
        shapes(options)
    assert torch.get_default_device().type == "cpu"
