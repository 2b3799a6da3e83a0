"""Models of transformers that somebody made: the network inside, untouched, and what is refused."""

import pytest
import torch
import transformers
from fixtures.text import config_of, random_encoder, text_inputs
from torch import nn

from peftlab.backbone.hf.own import is_of_transformers, own_encoder
from peftlab.errors import UserError
from peftlab.site import Site

ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert")
DECODERS = ("llama", "qwen2", "mistral", "gptj", "opt")


def made(kind, auto=transformers.AutoModel, **more):
    """A small network as a user makes it, with the weights of `random_encoder`."""
    config = transformers.AutoConfig.for_model(**{**config_of(kind), **more})
    model = auto.from_config(config)
    network = model.base_model.decoder if kind == "opt" else model.base_model
    own = {
        key: value
        for key, value in random_encoder(kind).model.state_dict().items()
        if "unembedding" not in key
    }
    missing = network.load_state_dict(own, strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith("pooler.") for key in missing.missing_keys)
    return model.eval()


@pytest.mark.parametrize(
    "head",
    ["AutoModel", "AutoModelForSequenceClassification", "AutoModelForMaskedLM", "AutoModelForCausalLM"],
)
@pytest.mark.parametrize("kind", [*ENCODERS, *DECODERS])
def test_it_is_the_backbone_of_the_same_weights(kind, head):
    if (head == "AutoModelForMaskedLM" and kind in DECODERS) or (
        head == "AutoModelForCausalLM" and kind in ENCODERS
    ):
        pytest.skip("there is no such model")
    model = made(kind, getattr(transformers, head))
    pool = "last" if kind in DECODERS else "mean"
    found, wanted = own_encoder(model, pool), random_encoder(kind, pool=pool)
    assert found.places.keys() == wanted.places.keys()
    assert found.places == wanted.places
    outside = tuple(key for key in wanted.outside if "unembedding" not in key)
    assert found.outside == outside
    assert (found.blocks, found.labels, found.num_features) == (
        wanted.blocks,
        wanted.labels,
        wanted.num_features,
    )
    assert (found.is_causal, found.rotary) == (wanted.is_causal, wanted.rotary)
    inputs = text_inputs(wanted.input_spec, [9, 4], torch.Generator().manual_seed(1))
    assert torch.equal(found.features(inputs), wanted.features(inputs))
    assert not any(value.requires_grad for value in model.parameters())


def test_all_tokens_count_where_no_mask_is_given():
    found, inputs = own_encoder(made("bert"), "mean"), {"input_ids": torch.tensor([[5, 6, 7]])}
    whole = {**inputs, "attention_mask": torch.ones(1, 3, dtype=torch.int64)}
    assert torch.equal(found.features(inputs), found.features(whole))


def test_a_prefix_has_no_place_in_an_attention_of_another_kind():
    found = own_encoder(made("bert", attn_implementation="eager"), None)
    assert Site(0, "q") in found.places
    with pytest.raises(
        UserError, match=r"has no kv: its attention_implementation is eager, .* legal: AutoModel"
    ):
        found.place(Site(0, "kv"))


@pytest.mark.parametrize(
    ("model", "pool", "words"),
    [
        (lambda: made("bert"), "last", "pool=last is none of BertModel; legal: mean, first"),
        (lambda: made("llama"), "first", "pool=first is none of LlamaModel; legal: mean, last"),
        (lambda: made("bert", is_decoder=True), None, "model=BertModel has is_decoder=True in its config"),
        (
            lambda: made("bert", chunk_size_feed_forward=4),
            None,
            "has chunk_size_feed_forward=4 in its config",
        ),
        (
            lambda: transformers.AutoModel.from_config(
                transformers.AutoConfig.for_model(**config_of("gpt2"))
            ),
            None,
            "model=GPT2Model has layers in a layout of their own",
        ),
        (
            lambda: transformers.AutoModel.from_config(
                transformers.AutoConfig.for_model(**config_of("gpt_neox"))
            ),
            None,
            "model=GPTNeoXModel has layers in a layout of their own",
        ),
        (
            lambda: transformers.AlbertModel(
                transformers.AlbertConfig(
                    vocab_size=9, hidden_size=8, embedding_size=8, num_attention_heads=2, intermediate_size=8
                )
            ),
            None,
            r"model=AlbertModel has no table of places \(model_type albert\); legal: bart, bert, distilbert",
        ),
    ],
)
def test_what_has_no_place_is_named_and_nothing_is_changed(model, pool, words):
    network = model()
    with pytest.raises(UserError, match=words):
        own_encoder(network, pool)
    assert all(value.requires_grad for value in network.parameters())


def test_what_is_no_model_of_transformers():
    assert not is_of_transformers(nn.Linear(2, 2))
    assert is_of_transformers(made("bert"))
