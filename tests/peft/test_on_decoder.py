"""Methods on decoders: nothing that comes later reaches what came before; prefixes and prompts against transformers and PEFT."""

import copy
import warnings
from pathlib import Path

import pytest
import torch
from fixtures.answered import check_no_leak, stirred, with_answers
from fixtures.configs import TEMPORAL, TWO_TOWERS
from fixtures.text import CAUSAL, NOT_ON_MAMBA, NOT_THERE, text_inputs

from peftlab.config.directory import config_dir
from peftlab.errors import UserError
from peftlab.inputs.text import Masks
from peftlab.network.mask import with_room
from peftlab.site import Site

METHODS = sorted(
    {Path(file).stem for file in (config_dir() / "peft").glob("*.yaml")} - {*TWO_TOWERS, *TEMPORAL}
)
ATTENDING = ("llama", "gpt2", "gptj", "gpt_neox", "opt")
KINDS = (*ATTENDING, "mamba")
ROTARY = ("llama", "qwen2", "mistral", "gptj", "gpt_neox")
MASKS = {"peft.keep_ratio": 0.1, "peft.num_samples": 6}
KEYS = {
    **{name: MASKS for name in METHODS if name.startswith("mask_") and name != "mask_random"},
    "mask_random": {"peft.keep_ratio": 0.1},
    **{name: {"peft.parts.lora.depth": 0, "peft.parts.prefix.depth": 1} for name in ("hlpt", "h2lpt")},
}
LENGTHS, ANSWER = (11, 6, 8), 4


@pytest.fixture
def built(family, recipe, adapt):
    """A method with numbers of every kind on a decoder, and a padded batch of texts with answers."""

    def make(kind, method, scaling="fixed", **keys):
        backbone = family(kind)
        model, _ = adapt(recipe(method, scaling, **{**KEYS.get(method, {}), **keys}), backbone)
        rng = stirred(model)
        return backbone, model.eval(), with_answers(text_inputs(backbone.input_spec, LENGTHS, rng), ANSWER)

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_no_later_token_reaches_an_earlier_one(built, method, kind):
    if (kind, method) == ("llama", "bitfit"):
        pytest.skip("it has no bias")
    if kind == "mamba" and method in NOT_ON_MAMBA:
        with pytest.raises(UserError, match=NOT_THERE):
            built(kind, method)
        return
    _, model, inputs = built(kind, method)
    check_no_leak(model, inputs)


@pytest.mark.parametrize("per", ["sample", "token"])
@pytest.mark.parametrize("kind", ATTENDING)
@pytest.mark.parametrize("method", ["lora", "adapter_parallel", "prefix", "mh_pa", "unipelt", "hlpt"])
def test_a_gate_reads_the_question_alone_or_a_token_itself(built, method, kind, per):
    keys = {"scaling.per": per}
    if per == "token" and method in ("prefix", "unipelt", "hlpt"):
        with pytest.raises(UserError, match="which all tokens share"):
            built(kind, method, "gated", **keys)
        return
    _, model, inputs = built(kind, method, "gated", **keys)
    check_no_leak(model, inputs)


def test_a_gate_that_read_answers_would_leak(built, monkeypatch):
    """So that the tests above can fail."""
    _, model, inputs = built("llama", "lora", "gated")
    mask = inputs["attention_mask"]
    monkeypatch.setattr("peftlab.backbone.backbone.masks_of", lambda inputs: Masks(mask, mask))
    with pytest.raises(AssertionError):
        check_no_leak(model, inputs)


@pytest.mark.parametrize("kind", CAUSAL)
def test_scores_are_those_of_transformers_with_its_output_embedding(family, kind):
    """The arranged layers compute what they did: against a network of transformers with the published layout of the weights."""
    from importlib import import_module

    from peftlab.backbone.hf.families import FAMILIES
    from peftlab.backbone.hf.layout import published

    backbone = family(kind)
    inputs = with_answers(text_inputs(backbone.input_spec, LENGTHS, torch.Generator().manual_seed(5)), ANSWER)
    found = FAMILIES[kind]
    whole = getattr(import_module(found.module), found.model)(backbone.model.config).eval()
    state = published(backbone.model, backbone.model.state_dict())
    head = {key.removeprefix("unembedding."): state.pop(key) for key in list(state) if "unembedding" in key}
    whole.get_submodule(found.prefix.rstrip(".")).load_state_dict(state)
    whole.get_output_embeddings().load_state_dict(head)
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        wanted = whole(**given).logits[:, :-1][inputs["answer_mask"][:, 1:].bool()]
        ours = backbone.unembedding(backbone.features(inputs))
    assert ours.shape == (len(LENGTHS) * ANSWER, 153)
    assert wanted.std() > 0.1
    torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("per", ["sample", "token"])
def test_a_gate_in_a_state_space_is_at_its_layers(built, per):
    _, model, inputs = built("mamba", "lora", "gated", **{"scaling.per": per, "scaling.reads": "sublayer"})
    assert {str(site) for site in model.sites if site.block == 0} == {"0.in", "0.x", "0.dt", "0.out"}
    check_no_leak(model, inputs)


@pytest.mark.parametrize("kind", ATTENDING)
def test_a_prefix_is_keys_and_values_in_transformers_cache(built, kind):
    """Bit for bit but for the order of sums: the tokens stand at 0, 1, ..., and no prefix key is turned."""
    from transformers import DynamicCache

    backbone, model, inputs = built(kind, "prefix", **{"peft.length": 3})
    num_tokens = inputs["input_ids"].shape[1]
    cache = DynamicCache(config=backbone.model.config)
    heads = 2 if kind == "llama" else 4
    for block in range(2):
        keys, values = model.delta_at(Site(block, "kv")).P.detach().unflatten(-1, (heads, -1)).transpose(1, 2)
        shape = (len(LENGTHS), -1, -1, -1)
        cache.update(keys.expand(shape), values.expand(shape), block)
    given = {
        "input_ids": inputs["input_ids"],
        "attention_mask": torch.cat(
            [torch.ones(len(LENGTHS), 3, dtype=torch.int64), inputs["attention_mask"]], 1
        ),
        "position_ids": torch.arange(num_tokens).expand(len(LENGTHS), -1),
    }
    with torch.no_grad():
        hidden = backbone.model(**given, cache=cache).last_hidden_state
        ours = model.features(**inputs)
    wanted = hidden[:, :-1][inputs["answer_mask"][:, 1:].bool()]
    torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-5)


def test_a_prefix_equals_hugging_face_s_with_its_keys_turned_back(hugging_face, built):
    """There tokens stand behind the prefix: a key that is not turned there is one that is turned by -length here."""
    backbone, model, inputs = built("llama", "prefix", **{"peft.length": 3})
    config = hugging_face.PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=3,
        num_layers=2,
        token_dim=8,
        num_attention_heads=2,
        num_transformer_submodules=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = hugging_face.get_peft_model(_whole(backbone), config).eval()
    cos, sin = backbone.model.rotary_emb(torch.zeros(1), position_ids=torch.full((1, 1), -3.0))
    rows = []
    with torch.no_grad():
        for block in range(2):
            keys, values = model.delta_at(Site(block, "kv")).P.clone()
            rows += [keys, values]
            per_head = keys.unflatten(-1, (2, -1))
            turned = torch.cat([-per_head[..., 2:], per_head[..., :2]], -1)
            model.delta_at(Site(block, "kv")).P[0] = (per_head * cos[0] + turned * sin[0]).flatten(-2)
        wrapped.prompt_encoder["default"].embedding.weight.copy_(torch.cat(rows, dim=1))
        given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the cache goes by an old name
            logits = wrapped(**given).logits
        ours = backbone.unembedding(model.features(**inputs))
    wanted = logits[:, :-1][inputs["answer_mask"][:, 1:].bool()]
    torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ROTARY)
def test_a_soft_prompt_equals_hugging_face_s(hugging_face, built, kind):
    """Prompts at 0, 1, ... and the tokens behind them, which sees what is relative alone."""
    backbone, model, inputs = built(kind, "soft_prompt", **{"peft.num_tokens": 3})
    config = hugging_face.PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=3,
        num_layers=2,
        token_dim=16,
        num_attention_heads=4,
        num_transformer_submodules=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = hugging_face.get_peft_model(_whole(backbone), config).eval()
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        wrapped.prompt_encoder["default"].embedding.weight.copy_(model.delta_at(Site(0, "tokens")).P)
        wanted = wrapped(**given).logits[:, 3:][:, :-1][inputs["answer_mask"][:, 1:].bool()]
        ours = backbone.unembedding(model.features(**inputs))
    torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-5)


def _whole(backbone):
    """A network of transformers with the output embedding around the backbone's own."""
    from importlib import import_module

    from peftlab.backbone.hf.families import FAMILIES

    family = FAMILIES[backbone.model.config.model_type]
    whole = getattr(import_module(family.module), family.model)(backbone.model.config).eval()
    copied = copy.deepcopy(backbone.model)
    head = copied.unembedding
    setattr(whole, family.prefix.rstrip("."), copied)
    whole.set_output_embeddings(head)
    return whole


def test_prompts_in_a_causal_mask_see_those_before_them_alone():
    mask = torch.ones(2, 2, dtype=torch.bool).tril()[None, None]
    wide = with_room(mask, 0, 2, is_causal=True)
    assert torch.equal(wide[0, 0], torch.ones(4, 4, dtype=torch.bool).tril())
    added = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    assert torch.equal(with_room(added, 0, 2, is_causal=True) == 0, wide)


def test_too_many_prompts_for_a_table_of_turns_are_named(built):
    with pytest.raises(UserError, match="160 prompts before 16 tokens are more than the 166 positions"):
        built("gptj", "soft_prompt", **{"peft.num_tokens": 160})
