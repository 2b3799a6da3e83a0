"""Without gamma the same logits, and the file needs none."""

import pytest
import torch
import yaml
from safetensors.torch import load_file

import peftlab
from peftlab.config.file import read_config
from peftlab.errors import UserError

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def check(folder, out, *, exact=True):
    wanted, model = peftlab.load(folder)(IMAGES), peftlab.load(out)
    assert not any(key.startswith("gamma") for key in load_file(out / "adapter.safetensors"))
    assert model.gamma.raw is None
    if exact:
        assert torch.equal(model(IMAGES), wanted)
    else:
        torch.testing.assert_close(model(IMAGES), wanted, rtol=1e-5, atol=1e-4)
    return model


SCALED = [("lora", "fixed"), ("lora", "meta")]
SCALED += [(method, "learned") for method in ("lora", "vpt_deep", "mam", "ssf", "gated_prompt")]


@pytest.mark.parametrize(("method", "scaling"), SCALED)
def test_scalars_become_options_of_the_sites(run_folder, export, method, scaling):
    folder = run_folder(method, scaling)
    out = export(folder, "adapter").folder
    model = check(folder, out)
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["scaling"] == {
        "_target_": "peftlab.scaling.fixed.fixed",
        "value": 1.0,
        "rule": "plain",
    }
    assert model.gamma.scales().keys() == peftlab.load(folder).gamma.scales().keys()


@pytest.mark.parametrize("granularity", ["block", "position", "global"])
def test_a_shared_gamma_is_written_at_every_site(run_folder, export, granularity):
    keys = {"scaling.granularity": granularity, "scaling.rule": "over_rank", "scaling.value": 3.0}
    folder = run_folder("lora", "learned", cells={"0.q": {"rank": 2, "scale": 0.5}, "1.v": {}}, **keys)
    out = export(folder, "adapter").folder
    check(folder, out)
    cells = yaml.safe_load((out / "adapter.yaml").read_text())["cells"]["peft"]
    assert cells["0.q"].keys() == {"rank", "scale"}
    assert cells["1.v"].keys() == {"scale"}


def test_an_identity_gamma_may_be_negative(run_folder, export):
    folder = run_folder("lora", "learned", **{"scaling.activation": "identity"})
    model = check(folder, export(folder, "adapter").folder)
    assert min(model.gamma.multiplier) < 0


@pytest.mark.parametrize("method", ["lora", "dylora", "adaptformer", "ssf", "ia3"])
def test_a_gamma_per_channel_goes_into_the_last_weights(run_folder, export, method):
    folder = run_folder(method, "learned", **{"scaling.granularity": "channel"})
    model = check(folder, export(folder, "adapter").folder, exact=False)
    assert set(model.gamma.multiplier.tolist()) == {1.0}


def test_a_gamma_per_channel_of_a_prompt_is_refused(run_folder, export):
    folder = run_folder("vpt_deep", "learned", **{"scaling.granularity": "channel"})
    with pytest.raises(
        UserError, match=r"Prompt at 0.tokens, 1.tokens \(its gamma per channel has no weight to go"
    ):
        export(folder, "adapter")


@pytest.mark.parametrize("method", ["lora", "unipelt"])
def test_a_gate_stays(run_folder, export, method):
    folder = run_folder(method, "gated", **{"scaling.value": 2.0})
    model = check(folder, export(folder, "adapter").folder)
    assert len(model.cell.gates) == len(model.sites)


@pytest.mark.parametrize("method", ["bitfit", "linear_probe"])
def test_where_there_is_no_gamma_all_stays(run_folder, export, method):
    folder = run_folder(method)
    out = export(folder, "adapter").folder
    check(folder, out)
    assert read_config(out) == read_config(folder)


def test_dylora_keeps_the_rank(run_folder, export):
    folder = run_folder("dylora", "learned", **{"peft.scale": 1.0})
    model = peftlab.load(export(folder, "adapter", rank=3).folder)
    run = peftlab.load(folder)
    assert not torch.allclose(run(IMAGES), model(IMAGES))
    run.at(3)
    assert torch.equal(run(IMAGES), model(IMAGES))


def test_an_export_can_be_exported(run_folder, export):
    folder = run_folder("lora", "learned")
    first = export(folder, "adapter").folder
    check(folder, export(first, "adapter").folder)
    assert export(first, "timm").card["largest_logit_difference"] < 1e-4
