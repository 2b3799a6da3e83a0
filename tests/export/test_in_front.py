"""Prefixes and prompts in Hugging Face PEFT, the real library, are those of the run, or are refused."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from fixtures.text_export import given_by, own_features, pooled
from safetensors.torch import load_file

import peftlab
from peftlab.errors import UserError
from peftlab.export.in_front import WEIGHTS

ROTARY = ("llama", "qwen2", "mistral", "gptj", "gpt_neox")
PREFIX, PROMPT = ("peft=prefix", "peft.length=3"), ("peft=soft_prompt", "peft.num_tokens=3")


@pytest.fixture(scope="module")
def hugging_face():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import peft
    return peft


def wrapped(hugging_face, model, folder):
    """What is missing or left over would be a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return hugging_face.PeftModel.from_pretrained(model, str(folder)).eval()


def theirs(hugging_face, base, out, pool):
    """Features of a padded batch, by the library alone."""
    import transformers

    model = wrapped(hugging_face, transformers.AutoModel.from_pretrained(base), out)
    given = given_by(base)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cache goes by an old name
        hidden = model(**given).last_hidden_state
    return pooled(hidden[:, -given["input_ids"].shape[1] :], given["attention_mask"], pool)


@pytest.mark.parametrize("kind", ROTARY)
@pytest.mark.parametrize("words", [
    PREFIX,
    (*PREFIX, "backbone.pool=mean"),
    PROMPT,
    (*PROMPT, "scaling=learned", "scaling.granularity=channel", "backbone.pool=mean"),
    ("peft=vpt_shallow", "peft.num_tokens=2", "scaling.value=3"),
])  # fmt: skip
def test_features_equal_the_run_s(hugging_face, hf_run, export, texts, kind, words):
    run = hf_run(kind, *words)
    out = export(run.folder, "peft", images=texts)
    pool = "mean" if "backbone.pool=mean" in words else "last"
    found, wanted = theirs(hugging_face, run.base, out.folder, pool), own_features(run.folder)
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()
    front = load_file(out.folder / WEIGHTS)["prompt_embeddings"]
    assert out.card["prefix" if words[0] == "peft=prefix" else "prompts"] == len(front)
    assert out.card["head"]["where"] == "head.safetensors"


def test_keys_that_are_not_turned_would_be_others(hugging_face, hf_run, export, texts, monkeypatch):
    """So that the test above can fail, and that an export which is not the run is seen before it is left."""
    monkeypatch.setattr("peftlab.export.in_front.turned", lambda backbone, keys, by: keys)
    with pytest.raises(RuntimeError, match="the export's logits differ from the run's by"):
        export(hf_run("llama", *PREFIX).folder, "peft", images=texts)


@pytest.mark.parametrize(("kind", "words", "sentence"), [
    ("gpt2", PREFIX, r"Prefix \(it is exact where queries and keys are turned; elsewhere PEFT moves the text"),
    ("opt", PROMPT, r"Prompt \(it is exact where queries and keys are turned"),
    ("bert", PREFIX, r"Prefix \(it is exact where queries and keys are turned"),
    ("llama", (*PREFIX, "peft.scale=0.5"), r"Prefix at 0.kv, 1.kv \(its scale is not 1, and no keys and values"),
    ("llama", (*PREFIX, "scaling=gated"), r"Prefix at 0.kv, 1.kv \(its gate depends on the input\)"),
    ("llama", (*PREFIX, "placement.depth=1"), r"Prefix \(PEFT has one in every block, and 0 has none\)"),
    ("llama", ("peft=vpt_deep",), r"Prompt at 1.tokens \(PEFT has prompts before the first block alone\)"),
    ("llama", ("peft=soft_prompt", "peft.travels=false"), r"Prompt at 0.tokens \(it leaves behind its own block\)"),
    ("gptj", (*PREFIX, "peft.length=107"), r"107 in front and 60 tokens of a text are more than the 166 positions"),
    ("llama", ("peft=mam",), r"Prefix at .* \(it acts inside the attention product\)"),
    ("llama", ("peft=mh_pa",), r"\(it acts inside the attention product\)"),
])  # fmt: skip
def test_what_would_not_be_the_same_is_refused(hf_run, export, texts, kind, words, sentence):
    with pytest.raises(UserError, match=sentence):
        export(hf_run(kind, *words).folder, "peft", images=texts)


def test_lengths_that_differ_are_refused(hf_run, export, texts):
    cells = "placement.cells={0.kv: {length: 2}, 1.kv: {length: 5}}"
    with pytest.raises(UserError, match=r"Prefix \(PEFT has one length, and these are 2, 5\)"):
        export(hf_run("llama", "peft=prefix", "placement=cells", cells).folder, "peft", images=texts)


@pytest.mark.parametrize(("kind", "changes", "sentence"), [
    ("mistral", {"sliding_window": 62}, "3 in front and 60 tokens of a text are more than the 62 tokens of its window"),
    (
        "llama",
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
        "turns of the kind dynamic are not those of the relative position alone",
    ),
])  # fmt: skip
def test_a_network_that_sees_more_than_relative_positions_is_refused(
    hf_run, export, texts, kind, changes, sentence
):
    run = hf_run(kind, *PREFIX)
    file = Path(run.base) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    assert peftlab.load(run.folder).deltas
    with pytest.raises(UserError, match=sentence):
        export(run.folder, "peft", images=texts)
