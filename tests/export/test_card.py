"""The code in README.md does what it says."""

import re

import pytest
import torch

import peftlab
from peftlab.config.file import read_config
from peftlab.config.resolve import resolve

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def run_readme(folder, names, monkeypatch, after_create=None):
    """Execute its block of code, in the folder; `after_create` loads the frozen weights where it says so."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
    if after_create is not None:
        code = re.sub(r"# load the frozen weights here.*", "after_create(model)", code)
        assert "after_create" in code
    monkeypatch.chdir(folder)
    names = {**names, "after_create": after_create}
    with torch.no_grad():
        exec(code.replace("THIS_FOLDER", str(folder)), names)
    return names


@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize("to", ["timm", "peft", "adapter"])
def test_the_readme_gives_the_run_s_logits(run_folder, export, monkeypatch, to, head):
    folder = run_folder("lora", "learned", head=head)
    out = export(folder, to).folder
    resolved = resolve(read_config(folder))

    def load(model):
        model.load_state_dict(resolved.backbone().model.state_dict(), strict=False)

    names = run_readme(out, {"images": IMAGES}, monkeypatch, load if to == "peft" else None)
    with torch.no_grad():
        logits = names["logits"] if "logits" in names else names["model"](IMAGES)
        torch.testing.assert_close(logits, peftlab.load(folder)(IMAGES), rtol=1e-5, atol=1e-4)


def test_per_image_standardisation_is_said(run_folder, export):
    card = export(run_folder("lora", **{"dataset.standardise": True}), "timm").card
    assert (card["input"]["mean"], card["input"]["std"]) == ("of each image", "of each image")
    assert card["input"]["transform"].endswith("standardise each image")
