"""The merged weights alone, in a plain model, give the features of the adapted one."""

import pytest
import torch

from peftlab.backbone.timm.plain import plain_model
from peftlab.errors import UserError
from peftlab.export.merge import merge

LINEAR = ["q", "k", "v", "out", "mlp1", "gate", "mlp2"]


def check(found, tolerance=2e-5):
    run, images = found.run, found.images
    before = {name: value.clone() for name, value in run.model.backbone.state_dict().items()}
    with torch.no_grad():
        wanted = run.model.features(images)
        frozen = plain_model(run.resolved.backbone.options, 0)
        frozen.load_state_dict(before)
        state = merge(run)
        model = plain_model(run.resolved.backbone.options, 0)
        model.load_state_dict(state, strict=True)
        assert (wanted - frozen(images)).abs().max() > 0.01 * wanted.abs().max(), "nothing is adapted"
        error = (model(images) - wanted).abs().max() / wanted.abs().max()
    assert error < tolerance
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}
    after = run.model.backbone.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items()), (
        "merging changed the run's own"
    )


@pytest.mark.parametrize(
    "family", ["plain", "dinov2", "clip", "average", "eva02", "eva02_fused", "beit", "swin"]
)
@pytest.mark.parametrize("method", ["lora", "dylora", "ia3"])
def test_every_family(perturbed, family, method):
    check(perturbed(method, "learned", family))


@pytest.mark.parametrize("family", ["plain", "dinov2", "clip", "average", "swin"])
def test_ssf_with_norms(perturbed, family):
    check(perturbed("ssf", "learned", family))


@pytest.mark.parametrize("family", ["eva02", "eva02_fused", "beit"])
def test_ssf_where_the_bias_of_q_and_v_is_added_after_the_site(perturbed, family):
    check(
        perturbed("ssf", family=family, **{"placement.position": ["q", "v", "out", "mlp2", "norm1", "norm2"]})
    )


@pytest.mark.parametrize("method", ["lora", "ssf", "ia3", "dylora"])
def test_a_gamma_per_channel(perturbed, method):
    check(perturbed(method, "learned", **{"scaling.granularity": "channel"}))


@pytest.mark.parametrize("insertion", ["sequential", "input", "parallel"])
@pytest.mark.parametrize("scaling", ["fixed", "learned"])
def test_lora_at_every_insertion(perturbed, insertion, scaling):
    position = "all" if insertion != "input" else ["q", "out", "mlp1", "mlp2"]
    check(perturbed("lora", scaling, **{"peft.insertion": insertion, "placement.position": position}))


@pytest.mark.parametrize("form", ["lora", "ia3"])
def test_several_sites_that_change_one_input_act_in_turn(perturbed, recipe, form):
    """q, k and v with insertion=input all change what the fused qkv takes."""
    part = {**recipe("lora")["peft"], "insertion": "input", "positions": ["q", "k", "v"]}
    if form == "ia3":
        part = {key: value for key, value in part.items() if key not in ("rank", "dropout")}
        part["_target_"] = "peftlab.peft.ia3.Ia3"
        part = {"_target_": "peftlab.peft.part.Hybrid", "parts": {"scales": part}, "cuts": {}}
    check(perturbed("lora", "learned", node=part))


def test_an_input_changed_beside_a_low_rank_update(perturbed, recipe):
    """k's LoRA reads the input that q's site has changed."""
    lora = recipe("lora")["peft"]
    parts = {
        "input": {**lora, "insertion": "input", "positions": ["q"]},
        "beside": {**lora, "positions": ["k", "v"]},
        "bias": recipe("bitfit")["peft"],
    }
    peft = {"_target_": "peftlab.peft.part.Hybrid", "parts": parts, "cuts": {}}
    check(perturbed("lora", node=peft))


@pytest.mark.parametrize("method", ["bitfit", "full", "layernorm", "partial"])
def test_selected_weights(perturbed, method):
    check(perturbed(method))


@pytest.mark.parametrize(
    ("method", "scaling", "keys", "words"),
    [
        ("adaptformer", "fixed", {}, r"Adapter at 0.ffn, 1.ffn \(it is not linear\)"),
        ("prefix", "fixed", {}, r"Prefix at 0.kv, 1.kv \(it acts inside the attention product\)"),
        ("mh_pa", "fixed", {}, r"MhPa at 0.kv, 1.kv \(it acts inside"),
        ("vpt_deep", "fixed", {}, r"Prompt at 0.tokens, 1.tokens \(it works with tokens of its own\)"),
        (
            "lora",
            "gated",
            {},
            r"Lora at 0.q, 0.k, 0.v, 0.out and 8 more sites \(its gate depends on the input\)",
        ),
        (
            "lora",
            "fixed",
            {"peft.positions": ["ffn"]},
            r"Lora at 0.ffn, 1.ffn \(what it writes is the product of no single weight\)",
        ),
        ("mam", "fixed", {}, r"Adapter at .*\(it is not linear\), Prefix at .*\(it acts .*\); legal: "),
        (
            "gated_prompt",
            "fixed",
            {},
            r"Temperature at 0.kv, 1.kv .*, Prompt at 0.tokens .*, PromptGate at 1.tokens .*",
        ),
    ],
)
def test_what_cannot_be_merged_is_named_with_the_reason(perturbed, method, scaling, keys, words):
    with pytest.raises(UserError, match=words):
        merge(perturbed(method, scaling, **keys).run)


def test_a_residual_insertion_reads_another_module(perturbed):
    found = perturbed("lora", **{"peft.positions": ["ffn"], "peft.insertion": "residual"})
    with pytest.raises(UserError, match=r"Lora at 0.ffn, 1.ffn \(it reads another module than it writes\)"):
        merge(found.run)


def test_a_shift_without_a_bias(perturbed):
    with pytest.raises(UserError, match=r"Ssf at 0.k, 1.k \(its layer has no bias to take the shift\)"):
        merge(perturbed("ssf", family="eva02").run)


def test_a_matrix_at_a_norm(perturbed):
    keys = {"peft.positions": ["norm1"], "peft.insertion": "sequential"}
    with pytest.raises(UserError, match=r"Lora at 0.norm1, 1.norm1 \(the weight of a norm is no matrix\)"):
        merge(perturbed("lora", **keys).run)


@pytest.mark.parametrize("method", ["ssf", "lora"])
def test_what_acts_on_the_stream_before_a_norm(perturbed, method):
    keys = {"peft.positions": ["norm1"], "peft.insertion": "before"}
    with pytest.raises(
        UserError, match=r"at 0.norm1, 1.norm1 \(it changes the stream, which goes on around the norm\)"
    ):
        merge(perturbed(method, **keys).run)
