"""Every method between images and classes on two towers of open_clip."""

import pytest
import torch
from fixtures.clip import write_clip

from peftlab.build.cell import build_cell, place_on
from peftlab.build.classes import example_classes
from peftlab.build.early import empty_head
from peftlab.build.start import Start
from peftlab.config.compose import composed
from peftlab.config.directory import config_dir
from peftlab.config.resolve import resolve
from peftlab.network.network import Network

METHODS = sorted(file.stem for file in (config_dir() / "peft").glob("*.yaml"))
# what of them needs training items, or a placement that is made of two halves
ASKED = tuple(name for name in METHODS if name.startswith("mask_"))
MORE = {
    "coop": ["peft.num_tokens=4"],
    "maple": ["peft.depth=0-1"],
    **dict.fromkeys(("hlpt", "h2lpt"), ["peft.parts.lora.depth=image.0", "peft.parts.prefix.depth=image.1"]),
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
MOVED += ("maple", "coop", "cocoop")
IN_PLACE = ("bitfit", "full", "layernorm", "linear_probe", "partial")
ONE = {"coop": "text", "cocoop": "text", "hlpt": "image", "h2lpt": "image"}  # the tower that it acts in


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def make(kind):
        made.setdefault(kind, str(write_clip(tmp_path_factory.mktemp(kind), kind)))
        return made[kind]

    return make


@pytest.mark.parametrize("kind", ["plain", "siglip"])
@pytest.mark.parametrize("method", [name for name in METHODS if name not in ASKED])
def test_every_site_of_both_towers_acts_and_the_start_is_the_frozen_network(folder, method, kind):
    words = ["task=contrast", "backbone=open_clip", f"backbone.name={folder(kind)}", f"peft={method}"]
    resolved = resolve(composed(*words, *MORE.get(method, [])))
    backbone = example_classes(resolved, resolved.backbone(), 3)
    head = empty_head(resolved, backbone, 3)
    cell = build_cell(resolved, backbone, place_on(resolved, backbone), Start(head)).cell
    network = Network(backbone)
    network.check(cell)
    towers = {backbone.labels[site.block].partition(".")[0] for site in cell.sites}
    both = set() if method in IN_PLACE else {"image", "text"}
    assert towers == ({ONE[method]} if method in ONE else both)
    inputs = {"images": torch.randn(2, 3, 16, 16)}
    with torch.no_grad():  # where a mask is trained, torch may choose another attention kernel
        features = network.features([cell], inputs)[0]
        assert torch.equal(features, backbone.features(inputs)) == (method not in MOVED)
    assert features.shape == ((2, 4, 12) if method == "cocoop" else (5, 12))
    assert torch.isfinite(features).all()


@pytest.mark.parametrize(("tower", "changed"), [("image", [True, False]), ("text", [False, True])])
def test_one_tower_leaves_the_vectors_of_the_other(folder, tower, changed):
    words = ["task=contrast", "backbone=open_clip", f"backbone.name={folder('plain')}", "peft=lora"]
    resolved = resolve(composed(*words, f"placement.tower={tower}"))
    backbone = example_classes(resolved, resolved.backbone(), 3)
    head = empty_head(resolved, backbone, 3)
    cell = build_cell(resolved, backbone, place_on(resolved, backbone), Start(head)).cell
    with torch.no_grad():
        for value in cell.deltas.parameters():
            value.add_(0.1)
        inputs = {"images": torch.randn(2, 3, 16, 16)}
        features, frozen = Network(backbone).features([cell], inputs)[0], backbone.features(inputs)
    assert [not torch.equal(features[part], frozen[part]) for part in (slice(2), slice(2, 5))] == changed
