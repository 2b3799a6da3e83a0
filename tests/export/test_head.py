"""A linear head is timm's classifier; any other goes into a file of its own."""

import pytest
import torch
from safetensors.torch import load_file

from peftlab.export.head import FILE, classifier_state, num_outputs, read_head, save_head


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("plain", ["head"]),
        ("swin", ["head.fc"]),
        ("eva02", ["head"]),
        ("distilled", ["head", "head_dist"]),
    ],
)
def test_a_linear_head_gives_the_same_logits_in_timm_s_classifier(perturbed, plain, tmp_path, family, names):
    found = perturbed("linear_probe", family=family, head="linear")
    head = classifier_state(found.run)
    assert sorted(head) == [f"{name}.{key}" for name in names for key in ("bias", "weight")]
    model = plain(found.run.resolved.raw, num_outputs(found.run))
    model.load_state_dict({**found.run.model.backbone.state_dict(), **head}, strict=True)
    with torch.no_grad():
        torch.testing.assert_close(model(found.images), found.run.model(found.images), rtol=1e-5, atol=1e-5)
    save_head(found.run, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cosine_head_has_a_file(perturbed, tmp_path):
    found = perturbed("linear_probe")
    assert (found.run.resolved.head.word, num_outputs(found.run), classifier_state(found.run)) == (
        "cosine",
        0,
        {},
    )
    save_head(found.run, tmp_path)
    assert torch.equal(load_file(tmp_path / FILE)["weight"], found.run.model.head.weight)
    features = torch.randn(3, 16)
    assert torch.equal(read_head(found.run, tmp_path)(features), found.run.model.head(features))
