"""The only caller of instantiate."""

import pytest

from peftlab.build.instantiate import make
from peftlab.errors import UserError


def test_a_partial_waits_for_what_is_known_only_at_run_time():
    node = {"_target_": "peftlab.placement.grid.grid", "_partial_": True, "depth": "0-1", "position": ["q"]}
    cells = make(node)(["0", "1", "2"], ["q", "v"])
    assert [str(site) for site in cells] == ["0.q", "1.q"]


def test_a_wrong_input_keeps_its_sentence():
    node = {
        "_target_": "peftlab.backbone.timm.model.timm_model",
        "name": "vit",
        "pretrained": True,
        "checkpoint": "x",
    }
    with pytest.raises(
        UserError, match=r"^backbone\.pretrained=true and backbone\.checkpoint=x exclude each other"
    ):
        make({**node, "sha256": None, "depth": None, "model_args": {}})
