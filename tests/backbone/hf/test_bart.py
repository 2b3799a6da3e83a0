"""BART and T5: what is read, against transformers; every method keeps answers from being seen; what cannot hold is refused."""

from pathlib import Path

import pytest
import torch
from fixtures.answered import check_no_leak, stirred, with_answers
from fixtures.configs import TWO_TOWERS
from fixtures.text import ENCODER_DECODERS as KINDS
from fixtures.text import OPTIONS, random_encoder, text_inputs, whole, write_model

from peftlab.backbone.hf.families import FAMILIES
from peftlab.backbone.hf.model import hf_model
from peftlab.config.directory import config_dir
from peftlab.errors import UserError
from peftlab.site import CROSS, OF_TWO_TOWERS, POSITIONS, SCAN, Site

METHODS = sorted(
    {Path(file).stem for file in (config_dir() / "peft").glob("*.yaml")} - {*TWO_TOWERS, "aim", "st_adapter"}
)
LENGTHS, ANSWER = (11, 6, 8), 4
MASKS = {"peft.keep_ratio": 0.1, "peft.num_samples": 6}
KEYS = {
    **{name: MASKS for name in METHODS if name.startswith("mask_") and name != "mask_random"},
    "mask_random": {"peft.keep_ratio": 0.1},
    **{
        name: {"peft.parts.lora.depth": "0-1", "peft.parts.prefix.depth": "2-3"} for name in ("hlpt", "h2lpt")
    },
}
GATED = ("unipelt", "hlpt", "h2lpt")  # by themselves; a gate of a whole text has no place in a decoder


@pytest.fixture
def built(family, recipe, adapt):
    """A method with numbers of every kind, and a padded batch of texts with answers."""

    def make(kind, method, scaling="fixed", **keys):
        backbone = family(kind)
        model, _ = adapt(recipe(method, scaling, **{**KEYS.get(method, {}), **keys}), backbone)
        rng = stirred(model)
        return backbone, model.eval(), with_answers(text_inputs(backbone.input_spec, LENGTHS, rng), ANSWER)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_places(family, kind):
    backbone = family(kind)
    assert backbone.labels == ("enc.0", "enc.1", "dec.0", "dec.1")
    assert backbone.decoder == 2
    plain = set(POSITIONS) - {*SCAN, *OF_TWO_TOWERS, "proj", *(() if kind == "mt5" else ("gate",))}
    for block in range(4):
        own = {site.position for site in backbone.places if site.block == block}
        assert own == (plain - {*CROSS, "xkv"} if block < 2 else plain - {"tokens"})
    owned = [name for place in backbone.places.values() for name, _ in place.parameters]
    assert len(set(owned)) == len(owned)
    assert sorted([*owned, *backbone.outside]) == sorted(
        name for name, _ in backbone.model.named_parameters() if not name.startswith("unembedding.")
    )
    norm = {name for name, _ in backbone.place(Site(2, "norm1")).parameters}
    assert any(
        ("encoder_attn_layer_norm" if kind == "bart" else "layer.1.layer_norm") in name for name in norm
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_is_called_once(family, inputs_of, kind):
    backbone = family(kind)
    modules = {port.module for place in backbone.places.values() for port in (place.input, place.output)}
    calls = dict.fromkeys(modules, 0)
    handles = [
        backbone.model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: calls.update({name: calls[name] + 1})
        )
        for name in modules
    ]
    backbone.features(inputs_of(backbone, 3))
    for handle in handles:
        handle.remove()
    assert set(calls.values()) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_a_text_are_those_that_transformers_classifies(family, kind):
    """The decoder reads the text shifted right; text by text, without padding."""
    backbone = family(kind)
    inputs = text_inputs(backbone.input_spec, LENGTHS, torch.Generator().manual_seed(5))
    found = backbone.features(inputs)
    network = whole(backbone)
    for row, length in enumerate(LENGTHS):
        ids = inputs["input_ids"][row : row + 1, :length]
        shifted = torch.cat(
            [torch.full((1, 1), backbone.model.config.decoder_start_token_id), ids[:, :-1]], dim=1
        )
        with torch.no_grad():
            out = network(input_ids=ids, decoder_input_ids=shifted, output_hidden_states=True)
        wanted = out.decoder_hidden_states[-1][0, -1]
        torch.testing.assert_close(found[row], wanted, rtol=1e-5, atol=1e-5)
    assert found.std() > 0.1


def scores_of(network, inputs):
    """Of each token of the answers, text by text, with labels as transformers takes them."""
    rows = []
    for row, length in enumerate(LENGTHS):
        ids = inputs["input_ids"][row : row + 1, :length]
        with torch.no_grad():
            rows.append(network(input_ids=ids[:, :-ANSWER], labels=ids[:, -ANSWER:]).logits[0])
    return torch.cat(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_answers_are_those_of_transformers(family, kind):
    backbone = family(kind)
    inputs = with_answers(text_inputs(backbone.input_spec, LENGTHS, torch.Generator().manual_seed(5)), ANSWER)
    ours = backbone.unembedding(backbone.features(inputs))
    assert ours.shape == (len(LENGTHS) * ANSWER, 153)
    torch.testing.assert_close(ours, scores_of(whole(backbone), inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("position", ["q", "out", "xq", "xk", "xv", "xout", "mlp1", "mlp2"])
@pytest.mark.parametrize("kind", KINDS)
def test_lora_is_a_product_added_to_the_weight(built, kind, position):
    keys = {"peft.rank": 3, "scaling.value": 1.7, "placement.position": position}
    backbone, model, inputs = built(kind, "lora", **keys)
    change = [
        (
            f"{backbone.place(site).output.module}.weight",
            1.7 * model.delta_at(site).B @ model.delta_at(site).A,
        )
        for site in model.sites
    ]
    assert len(change) == (2 if position.startswith("x") else 4)
    with torch.no_grad():
        ours = backbone.unembedding(model.features(**inputs))
    torch.testing.assert_close(ours, scores_of(whole(backbone, change), inputs), rtol=2e-5, atol=2e-5)
    assert (ours - backbone.unembedding(backbone.features(inputs))).abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_stands_before_what_the_encoder_gives(built, kind):
    """softmax([P_k; k] q) [P_v; v] of the attention to the encoder, out of what its layers give and take."""
    backbone, model, inputs = built(kind, "prefix", **{"peft.length": 3, "placement.position": "xkv"})
    site = Site(3, "xkv")
    assert [str(own) for own in model.sites] == ["2.xkv", "3.xkv"]
    seen = {}
    ends = {name: backbone.place(Site(3, name)).output.module for name in CROSS}
    for name, module in ends.items():
        backbone.model.get_submodule(module).register_forward_hook(
            lambda layer, args, output, name=name: seen.update({name: args[0] if name == "xout" else output})
        )
    try:
        model.features(**inputs)
    finally:
        for module in ends.values():
            backbone.model.get_submodule(module)._forward_hooks.clear()
    num_heads = backbone.num_heads(3)
    q, k, v = (seen[name].unflatten(-1, (num_heads, -1)).transpose(1, 2) for name in ("xq", "xk", "xv"))
    front = model.delta_at(site).P.unflatten(-1, (num_heads, -1)).transpose(1, 2)
    k, v = (
        torch.cat([own.expand(len(x), -1, -1, -1), x], dim=2) for own, x in zip(front, (k, v), strict=True)
    )
    hidden = torch.cat(
        [torch.zeros(len(LENGTHS), 3), 1 - inputs["attention_mask"] + inputs["answer_mask"]], dim=1
    ).bool()
    scaled = q @ k.transpose(-1, -2) * backbone.model.get_submodule(backbone.place(site).input.module).scaling
    shares = scaled.masked_fill(hidden[:, None, None], -torch.inf).softmax(-1)
    torch.testing.assert_close(seen["xout"], (shares @ v).transpose(1, 2).flatten(2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_no_token_of_an_answer_reaches_those_before_it(built, method, kind):
    keys = {"placement.depth": "enc"} if method in GATED else {}
    if method == "bitfit" and kind != "bart":
        with pytest.raises(UserError, match="no module of the chosen sites has a bias"):
            built(kind, method)
        return
    _, model, inputs = built(kind, method, **keys)
    check_no_leak(model, inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["lora", "prefix", "mh_pa", "adapter_parallel", "vpt_deep", "soft_prompt"])
@pytest.mark.parametrize("has_answers", [False, True])
def test_padding_does_not_matter(built, method, kind, has_answers):
    _, model, inputs = built(kind, method)
    own = inputs if has_answers else {key: value for key, value in inputs.items() if key != "answer_mask"}
    count = ANSWER if has_answers else 1
    together = model.features(**own).unflatten(0, (len(LENGTHS), count))
    for row, length in enumerate(LENGTHS):
        alone = model.features(**{name: value[row : row + 1, :length] for name, value in own.items()})
        torch.testing.assert_close(together[row], alone, rtol=2e-5, atol=2e-5)
    one = {name: value[1:2, : LENGTHS[1]] for name, value in own.items()}
    padded = {name: value[1:2] for name, value in own.items()}
    for site, ratio in model.ratios(**one).items():
        torch.testing.assert_close(model.ratios(**padded)[site], ratio, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gates(built, kind):
    with pytest.raises(
        UserError, match=r"scaling\.per=sample: dec\.0\.q stands in a decoder, .* legal: placement\.depth=enc"
    ):
        built(kind, "lora", "gated")
    for keys in ({"placement.depth": "enc"}, {"scaling.per": "token"}):
        _, model, inputs = built(kind, "lora", "gated", **keys)
        assert torch.isfinite(model.features(**inputs)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "depth", "position", "words"),
    [
        ("lora", "enc", "xq", "block enc\\.0 has no xq; legal there: q, k, v, out, mlp1"),
        ("lora", "enc", ["q", "xq"], "block enc\\.0 has no xq; legal there: q, k, v, out, mlp1"),
        ("vpt_deep", "dec", "all", "block dec\\.0 has no tokens"),
    ],
)
def test_what_a_stack_lacks_is_said(built, kind, method, depth, position, words):
    with pytest.raises(UserError, match=words):
        built(kind, method, **{"placement.depth": depth, "placement.position": position})


def test_a_named_position_stands_in_the_blocks_that_have_it(built):
    _, model, _ = built("bart", "lora", **{"placement.position": ["q", "xq"]})
    assert {str(anchor.site) for anchor in model.cell.anchors} == {
        *(f"{block}.q" for block in range(4)),
        "2.xq",
        "3.xq",
    }
    _, model, _ = built("bart", "lora", **{"placement.position": "all", "placement.depth": "enc"})
    assert "xq" not in {anchor.site.position for anchor in model.cell.anchors}


def test_a_position_of_a_decoder_is_refused_on_a_vit(family, recipe, adapt):
    with pytest.raises(
        UserError, match=r"placement\.position=xq is not a position this method can take; legal: q, k"
    ):
        adapt(recipe("lora", **{"placement.position": "xq"}), family("plain"))


@pytest.mark.parametrize("prefix", ["", "own"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_its_weights(model_folder, kind, prefix):
    folder = model_folder(kind, FAMILIES[kind].prefix if prefix else "")
    backbone, wanted = (
        hf_model(name=str(folder), pretrained=True, **{**OPTIONS, "pool": None}),
        random_encoder(kind),
    )
    state, given = backbone.model.state_dict(), wanted.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in given.items())
    assert backbone.unembedding is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth": 4}, "backbone.depth=4, but model has an encoder and a decoder; legal: null"),
        ({"pool": "mean"}, "backbone.pool=mean does not go with model, whose decoder is read; legal: last"),
    ],
)
def test_wrong_options(tmp_path, changes, words):
    options = {
        "name": str(write_model(tmp_path / "model", "bart")),
        "pretrained": False,
        **OPTIONS,
        "pool": None,
    }
    with pytest.raises(UserError) as refused:
        hf_model(**{**options, **changes})
    assert words in str(refused.value)


def test_numbers_behind_the_output_embedding_are_refused(model_folder):
    from safetensors.torch import load_file, save_file

    folder = model_folder("bart", "model.")
    for value, is_legal in ((0.0, True), (1.0, False)):
        state = {**load_file(folder / "model.safetensors"), "final_logits_bias": torch.full((1, 153), value)}
        save_file(state, folder / "model.safetensors")
        options = {"name": str(folder), "pretrained": True, **OPTIONS, "pool": None}
        if is_legal:
            hf_model(**options)
            continue
        with pytest.raises(UserError, match="numbers other than 0 in final_logits_bias"):
            hf_model(**options)


def test_somebody_s_own_model_is_read_in_one_stack():
    from fixtures.text import config_of
    from transformers import AutoConfig, AutoModel

    from peftlab.backbone.hf.own import own_encoder

    with pytest.raises(
        UserError, match="model=BartModel has an encoder and a decoder, which are read together"
    ):
        own_encoder(AutoModel.from_config(AutoConfig.for_model(**config_of("bart"))), None)
