"""T5: the bias of its scores by distance with prefixes and prompts in its attention, its output embedding, LoRA of Hugging Face PEFT."""

import json
import math
import warnings

import pytest
import torch
from fixtures.answered import stirred, with_answers
from fixtures.text import OPTIONS, config_of, random_encoder, text_inputs, whole, write_model

from peftlab.backbone.hf.families import FAMILIES
from peftlab.backbone.hf.model import hf_model
from peftlab.errors import UserError
from peftlab.site import Site

KINDS = ("t5", "mt5")
LENGTHS, ANSWER = (11, 6, 8), 4
BUCKETS, FARTHEST = 8, 12


@pytest.fixture
def built(family, recipe, adapt):
    def make(kind, method, **keys):
        backbone = family(kind)
        model, _ = adapt(recipe(method, "fixed", **keys), backbone)
        rng = stirred(model)
        return backbone, model.eval(), with_answers(text_inputs(backbone.input_spec, LENGTHS, rng), ANSWER)

    return make


def bucket(distance, is_decoder):
    """Which bias a key so far behind a query has: each of the first distances its own, the rest by their logarithm."""
    count, first = (BUCKETS, 0) if is_decoder else (BUCKETS // 2, BUCKETS // 2 if distance > 0 else 0)
    distance = max(-distance, 0) if is_decoder else abs(distance)
    own = count // 2
    if distance < own:
        return first + distance
    place = own + int(math.log(distance / own) / math.log(FARTHEST / own) * (count - own))
    return first + min(place, count - 1)


def bias(backbone, stack, num):
    """`[1, h, num, num]` of so many tokens."""
    table = backbone.model.get_submodule(stack).block[0].layer[0].SelfAttention.relative_attention_bias.weight
    rows = [[bucket(key - query, stack == "decoder") for key in range(num)] for query in range(num)]
    return table[torch.tensor(rows)].permute(2, 0, 1).unsqueeze(0)


def seen_in(backbone, model, inputs, block):
    """q, k, v of a block's own attention and what its output layer takes."""
    seen, names = {}, ("q", "k", "v", "out")
    modules = [
        backbone.model.get_submodule(backbone.place(Site(block, name)).output.module) for name in names
    ]
    for name, module in zip(names, modules, strict=True):
        module.register_forward_hook(
            lambda layer, args, output, name=name: seen.update({name: args[0] if name == "out" else output})
        )
    try:
        model.features(**inputs)
    finally:
        for module in modules:
            module._forward_hooks.clear()
    return *(seen[name].unflatten(-1, (4, -1)).transpose(1, 2) for name in "qkv"), seen["out"]


def product(q, k, v, scores, hidden):
    """softmax(q k^T + bias) v without what is hidden; nothing is divided by sqrt d_h."""
    shares = (q @ k.transpose(-1, -2) + scores).masked_fill(hidden, -torch.inf).softmax(-1)
    return (shares @ v).transpose(1, 2).flatten(2)


def hidden_from_encoder(inputs, front):
    asked = inputs["attention_mask"] * (1 - inputs["answer_mask"])
    return torch.cat([torch.zeros(len(LENGTHS), front), 1 - asked], dim=1).bool()[:, None, None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [0, 1, 2, 3])
def test_a_prefix_is_at_no_distance(built, kind, block):
    """Its keys have a bias of 0, in both stacks and in the block that makes the bias of the others."""
    backbone, model, inputs = built(kind, "prefix", **{"peft.length": 3, "placement.position": "kv"})
    q, k, v, found = seen_in(backbone, model, inputs, block)
    front = model.delta_at(Site(block, "kv")).P.unflatten(-1, (4, -1)).transpose(1, 2)
    k, v = (torch.cat([own.expand(len(x), -1, -1, -1), x], 2) for own, x in zip(front, (k, v), strict=True))
    num = q.shape[2]
    scores = bias(backbone, "decoder" if block > 1 else "encoder", num)
    hidden = hidden_from_encoder(inputs, 3)
    if block > 1:
        hidden = torch.cat([torch.zeros(num, 3), torch.ones(num, num).triu(1)], dim=1).bool()
    scores = torch.cat([torch.zeros(1, 4, num, 3), scores], dim=-1)
    torch.testing.assert_close(found, product(q, k, v, scores, hidden), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "depth", "block"),
    [
        ("soft_prompt", "enc.0", 0),
        ("soft_prompt", "enc.0", 1),
        ("vpt_deep", "enc.1", 1),
        ("vpt_deep", "enc", 1),
    ],
)
def test_prompts_stand_before_the_text(built, kind, method, depth, block):
    """Positions from 0 on are theirs, where they join and in the blocks above."""
    backbone, model, inputs = built(kind, method, **{"peft.num_tokens": 3, "placement.depth": depth})
    q, k, v, found = seen_in(backbone, model, inputs, block)
    assert q.shape[2] == max(LENGTHS) + 3
    wanted = product(q, k, v, bias(backbone, "encoder", q.shape[2]), hidden_from_encoder(inputs, 3))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_that_leave_take_their_bias_with_them(built, kind):
    """NOAH's stand in the blocks of their sites alone."""
    backbone, model, inputs = built(kind, "soft_prompt", **{"peft.num_tokens": 3, "peft.travels": False})
    q, k, v, found = seen_in(backbone, model, inputs, 1)
    wanted = product(q, k, v, bias(backbone, "encoder", max(LENGTHS)), hidden_from_encoder(inputs, 0))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_prompt_is_embeddings_before_those_of_the_text(built, kind):
    """In transformers' own encoder, whose states of the prompts the decoder is not given."""
    backbone, model, inputs = built(kind, "soft_prompt", **{"peft.num_tokens": 3})
    network, prompts = whole(backbone), model.delta_at(Site(0, "tokens")).P

    def scores(asked, said):
        embedded = torch.cat([prompts.unsqueeze(0), network.shared(asked)], dim=1)
        encoded = network.encoder(inputs_embeds=embedded).last_hidden_state[:, 3:]
        return network(encoder_outputs=(encoded,), labels=said).logits[0]

    check_scores(backbone, model, inputs, scores)


@pytest.mark.parametrize("kind", KINDS)
def test_lora_equals_hugging_face_s(hugging_face, built, kind):
    """At the layers that it calls q and v, which are those of both attentions of both stacks."""
    keys = {"peft.rank": 3, "scaling.value": 1.7, "placement.position": ["q", "v", "xq", "xv"]}
    backbone, model, inputs = built(kind, "lora", **keys)
    config = hugging_face.LoraConfig(r=3, lora_alpha=1.7 * 3, target_modules=["q", "v"], lora_dropout=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = hugging_face.get_peft_model(whole(backbone), config).eval()
    layers = {
        f"{backbone.place(site).output.module}.lora_{factor}.default.weight": getattr(
            model.delta_at(site), factor
        )
        for site in model.sites
        for factor in "AB"
    }
    given = {name: value for name, value in wrapped.base_model.model.named_parameters() if "lora_" in name}
    assert layers.keys() == given.keys()
    with torch.no_grad():
        for name, value in given.items():
            value.copy_(layers[name])
    check_scores(backbone, model, inputs, lambda asked, said: wrapped(input_ids=asked, labels=said).logits[0])


def check_scores(backbone, model, inputs, scores):
    """Of each token of the answers, text by text, by `scores(asked, said)`."""
    rows = []
    for row, length in enumerate(LENGTHS):
        ids = inputs["input_ids"][row : row + 1, :length]
        with torch.no_grad():
            rows.append(scores(ids[:, :-ANSWER], ids[:, -ANSWER:]))
    with torch.no_grad():
        ours = backbone.unembedding(model.features(**inputs))
    torch.testing.assert_close(ours, torch.cat(rows), rtol=2e-5, atol=2e-5)
    assert (ours - backbone.unembedding(backbone.features(inputs))).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "config", "is_own"),
    [
        ("t5", {}, False),  # t5-small
        ("t5", {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}, True),  # v1.1 and Flan
        ("t5", {}, True),
        ("mt5", {"tie_word_embeddings": False}, True),
        ("mt5", {}, False),
    ],
)
def test_scores_are_those_that_transformers_reads_from_the_file(model_folder, kind, config, is_own):
    """The output embedding is scaled, or has numbers of its own; one table in old files is read by nobody."""
    import transformers
    from safetensors.torch import load_file, save_file

    folder = model_folder(kind)
    (folder / "config.json").write_text(json.dumps({**config_of(kind), **config}))
    state = load_file(folder / "model.safetensors")
    rng = torch.Generator().manual_seed(1)
    if config.get("feed_forward_proj"):
        for name in [key for key in state if key.endswith(".wi.weight")]:
            state[name.replace(".wi.", ".wi_0.")] = state.pop(name)
            state[name.replace(".wi.", ".wi_1.")] = 0.3 * torch.randn(32, 16, generator=rng)
    if is_own:
        state["lm_head.weight"] = torch.randn(153, 16, generator=rng)
    odd = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    save_file({**state, odd: torch.randn(8, 4)}, folder / "model.safetensors", {"format": "pt"})
    theirs = getattr(transformers, FAMILIES[kind].model).from_pretrained(folder).eval()
    backbone = hf_model(name=str(folder), pretrained=True, **{**OPTIONS, "pool": None})
    ids, said = torch.randint(5, 153, (2, 9), generator=rng), torch.randint(5, 153, (2, 4), generator=rng)
    inputs = {"input_ids": torch.cat([ids, said], 1), "attention_mask": torch.ones(2, 13, dtype=torch.int64)}
    inputs["answer_mask"] = torch.cat([torch.zeros_like(ids), torch.ones_like(said)], 1)
    with torch.no_grad():
        mask = inputs["attention_mask"] - inputs["answer_mask"]
        wanted = theirs(input_ids=inputs["input_ids"], attention_mask=mask, labels=said).logits
        ours = backbone.unembedding(backbone.features(inputs))
    assert torch.equal(ours, wanted.flatten(0, 1))
    table = backbone.model.get_input_embeddings().weight
    assert (backbone.unembedding.weight is table) != is_own


def test_texts_of_any_length_are_read(family):
    assert family("t5").input_spec.max_length == 512
    assert family("mt5").input_spec.max_length == 1024
    backbone = random_encoder("t5", max_length=600)
    inputs = text_inputs(backbone.input_spec, (600,), torch.Generator().manual_seed(1))
    assert torch.isfinite(backbone.features(inputs)).all()


def test_a_config_without_the_token_that_a_decoder_begins_with(tmp_path):
    folder = write_model(tmp_path / "model", "t5")
    config = {key: value for key, value in config_of("t5").items() if key != "decoder_start_token_id"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        UserError, match=r"model: config\.json has no decoder_start_token_id, which the decoder reads first"
    ):
        hf_model(name=str(folder), pretrained=False, **{**OPTIONS, "pool": None})


def test_a_library_whose_attention_is_not_found_is_refused(tmp_path, monkeypatch):
    import transformers

    monkeypatch.setattr(transformers.T5ForConditionalGeneration, "_supports_sdpa", False)
    folder = write_model(tmp_path / "model", "t5")
    with pytest.raises(
        UserError, match="T5ForConditionalGeneration of the installed transformers calls no attention product"
    ):
        hf_model(name=str(folder), pretrained=False, **{**OPTIONS, "pool": None})
