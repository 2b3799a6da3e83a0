"""What is written is compared with the run before it is put in its place."""

import pytest
import torch
import yaml

from peftlab.errors import UserError
from peftlab.export import export as module
from peftlab.export.export import export as write


def test_a_wrong_merge_is_noticed_and_leaves_nothing(run_folder, tmp_path, monkeypatch):
    folder = run_folder("lora", "learned")
    right = module.read_timm

    def wrong(stage):
        state = right(stage)
        state["blocks.0.mlp.fc1.weight"] += 0.1 * torch.randn(state["blocks.0.mlp.fc1.weight"].shape)
        return state

    monkeypatch.setattr(module, "read_timm", wrong)
    with pytest.raises(RuntimeError, match=r"the export's logits differ from the run's by [\d.]+ \(largest"):
        write(folder, "timm", tmp_path / "out", rank=None, images=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]


def test_a_refused_method_leaves_nothing(run_folder, tmp_path):
    folder = run_folder("adaptformer")
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match="it is not linear"):
        write(folder, "timm", folder / "export_timm", rank=None, images=None)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("to", ["timm", "peft", "adapter"])
def test_the_card(run_folder, export, to):
    folder = run_folder("lora", "learned", head="linear")
    found = export(folder, to)
    assert yaml.safe_load((found.folder / "export.yaml").read_text()) == found.card
    adapter = yaml.safe_load((folder / "adapter.yaml").read_text())
    assert found.card["format"] == to
    assert found.card["run_id"] == adapter["run_id"]
    assert found.card["backbone"]["hash"] == adapter["backbone_hash"]
    assert found.card["class_names"] == adapter["class_names"]
    assert found.card["num_images"] == 32
    assert found.card["images"] == "digits_lt, train split"
    assert found.card["largest_logit_difference"] <= 1e-5 * found.card["largest_logit"]
    assert found.card["files"] == sorted(path.name for path in found.folder.iterdir())
    assert found.card["input"]["size"] == 32


@pytest.mark.parametrize(
    ("method", "rank", "words"),
    [
        ("lora", 4, "--rank=4 has nothing to act on: this run has no DyLoRA; legal: no --rank"),
        ("dylora", 9, "--rank=9 is not a rank of this run; legal: 1 to 8"),
        ("dylora", 0, "--rank=0 is not a rank of this run; legal: 1 to 8"),
    ],
)
def test_a_rank_that_is_none(run_folder, export, method, rank, words):
    with pytest.raises(UserError, match=words):
        export(run_folder(method), "timm", rank=rank)
