"""transformers alone, and sentence-transformers alone, from the folder alone, give the run's features on real texts."""

import json

import pytest
import torch
from fixtures.text import DECODERS, ENCODER_DECODERS
from fixtures.text_export import TEXTS, given_by, hidden_of, own_features, pooled
from safetensors.torch import load_file, save_file

import peftlab
from peftlab.backbone.hf.exported import read_hf
from peftlab.backbone.hf.families import FAMILIES
from peftlab.errors import UserError

METHODS = ["lora", "dylora", "ssf", "ia3", "bitfit", "full", "layernorm"]
KINDS = ["bert", "roberta", "xlm-roberta", "distilbert"]


def theirs(folder, pool="mean"):
    """By transformers; a weight that is left over is told in what it returns."""
    import transformers

    model, told = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert set(told["unexpected_keys"]) <= {"lm_head.weight", "lm_head.bias"}  # of a decoder
    assert all(key.startswith("pooler.") for key in told["missing_keys"])
    given = given_by(folder)
    with torch.no_grad():
        return pooled(hidden_of(model.eval(), given), given["attention_mask"], pool)


def far(one, other):
    return (one - other).abs().max() / other.abs().max()


@pytest.mark.parametrize("scaling", ["fixed", "learned"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_can_be_folded(hf_run, export, texts, method, scaling):
    if scaling == "learned" and method in ("bitfit", "full", "layernorm"):
        pytest.skip("there is no delta to scale")
    run = hf_run("bert", f"peft={method}", f"scaling={scaling}")
    found = export(run.folder, "hf", images=texts)
    wanted = own_features(run.folder)
    assert far(theirs(found.folder), wanted) < 1e-4
    assert far(theirs(run.base), wanted) > 1e-2, "nothing is adapted"
    assert found.card["num_images"] == len(TEXTS)
    assert found.card["largest_feature_difference"] < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("pool", ["mean", "first", "last"])
@pytest.mark.parametrize("kind", [*KINDS, *DECODERS])
def test_every_family_and_pooling(hf_run, export, texts, kind, pool):
    if pool == ("first" if kind in DECODERS else "last"):
        pytest.skip("it says nothing of the text")
    run = hf_run(kind, f"backbone.pool={pool}", "scaling=learned")
    folder = export(run.folder, "hf", images=texts).folder
    assert far(theirs(folder, pool), own_features(run.folder)) < 1e-4
    again = read_hf(folder)
    assert again.read.__name__ == f"read_{pool}"
    own = json.loads((folder / "config.json").read_text())["architectures"]
    assert own == [FAMILIES[kind].model]


@pytest.mark.parametrize("method", ["lora", "full", "ssf"])
@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_an_encoder_with_a_decoder(hf_run, export, texts, kind, method):
    """Its features, and the scores of the whole model of both; sentence-transformers has no word for how it is read."""
    import transformers

    if (kind, method) in (("t5", "ssf"), ("mt5", "ssf")):
        with pytest.raises(UserError, match="its layer has no bias to take the shift"):
            export(hf_run(kind, "peft=ssf").folder, "hf", images=texts)
        return
    run = hf_run(kind, f"peft={method}", *(["scaling=learned"] if method == "lora" else []))
    found = export(run.folder, "hf", images=texts)
    wanted = own_features(run.folder)
    assert far(theirs(found.folder, "last"), wanted) < 1e-4
    assert far(theirs(run.base, "last"), wanted) > 1e-2, "nothing is adapted"
    assert not {"modules.json", "1_Pooling/config.json"} & set(found.card["files"])
    model, told = transformers.AutoModelForSeq2SeqLM.from_pretrained(found.folder, output_loading_info=True)
    assert not told["unexpected_keys"]
    assert not told["missing_keys"]
    assert json.loads((found.folder / "config.json").read_text())["architectures"] == [FAMILIES[kind].model]
    if method == "full":
        return  # its table of tokens is another one, and so is the output embedding that it shares
    given = given_by(found.folder)
    ids = given["input_ids"]
    read = torch.cat([torch.full_like(ids[:, :1], model.config.decoder_start_token_id), ids[:, :-1]], dim=1)
    with torch.no_grad():
        logits = pooled(model.eval()(**given, decoder_input_ids=read).logits, given["attention_mask"], "last")
        assert far(logits, peftlab.load(run.folder).network.backbone.unembedding(wanted)) < 1e-4


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_keeps_its_output_embedding(hf_run, export, texts, kind):
    """The whole language model, by transformers from the folder alone, against the run's own last hidden states."""
    import transformers

    run = hf_run(kind, "scaling=learned")
    folder = export(run.folder, "hf", images=texts).folder
    model, told = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not told["unexpected_keys"]
    assert not told["missing_keys"]
    given = given_by(folder)
    with torch.no_grad():
        logits = pooled(model.eval()(**given).logits, given["attention_mask"], "last")
        unembedding = peftlab.load(run.folder).network.backbone.unembedding
        assert far(logits, unembedding(own_features(run.folder))) < 1e-4


@pytest.mark.parametrize(
    ("kind", "pool"), [("bert", "mean"), ("bert", "first"), ("llama", "last"), ("gpt2", "mean")]
)
def test_sentence_transformers_reads_the_pooling_too(hf_run, export, texts, kind, pool):
    library = pytest.importorskip("sentence_transformers")
    run = hf_run(kind, f"backbone.pool={pool}")
    folder = export(run.folder, "hf", images=texts).folder
    found = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS, convert_to_tensor=True)
    assert far(found, own_features(run.folder)) < 1e-4


def test_the_pooler_of_the_model_s_own_file_stays(hf_run, export, texts):
    run = hf_run("bert")
    state = load_file(run.base / "model.safetensors")
    pooler = {"pooler.dense.weight": torch.randn(16, 16), "pooler.dense.bias": torch.randn(16)}
    named = {f"bert.{key}": value for key, value in {**state, **pooler}.items()}
    save_file({**named, "cls.predictions.bias": torch.zeros(153)}, run.base / "model.safetensors")
    found = load_file(export(run.folder, "hf", images=texts).folder / "model.safetensors")
    assert found.keys() == {*state, *pooler}
    assert all(torch.equal(found[key], value) for key, value in pooler.items())


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_the_head_has_a_file(hf_run, export, texts, head):
    run = hf_run("bert", head=head)
    folder = export(run.folder, "hf", images=texts).folder
    model = peftlab.load(run.folder)
    assert load_file(folder / "head.safetensors").keys() == model.head.state_dict().keys()
    assert "transformers" in (folder / "README.md").read_text()


def test_an_export_is_replaced_with_what_lies_in_its_folders(hf_run, export, texts):
    from peftlab.export.export import export as write

    run = hf_run("bert")
    first = export(run.folder, "hf", images=texts)
    (first.folder / "1_Pooling" / "mine").write_text("kept")
    write(run.folder, "hf", first.folder, rank=None, images=texts)
    assert (first.folder / "1_Pooling" / "mine").read_text() == "kept"
    assert "1_Pooling/config.json" in first.card["files"]
    write(run.folder, "adapter", first.folder, rank=None, images=texts)
    assert not (first.folder / "1_Pooling" / "config.json").exists()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("adaptformer", r"--to hf has no place for Adapter at 0.ffn, 1.ffn \(it is not linear\)"),
        ("prefix", r"--to hf has no place for Prefix at 0.kv, 1.kv \(it acts inside the attention product\)"),
        ("vpt_deep", r"--to hf has no place for Prompt at .* \(it works with tokens of its own\)"),
    ],
)
def test_what_has_no_place_is_named_with_the_reason(hf_run, export, texts, method, words):
    with pytest.raises(UserError, match=words):
        export(hf_run("bert", f"peft={method}").folder, "hf", images=texts)


def test_networks_of_the_other_kind_are_refused(hf_run, run_folder, export, texts):
    with pytest.raises(UserError, match=r"--to timm is for networks that read images, and .* reads texts"):
        export(hf_run("bert").folder, "timm", images=texts)
    with pytest.raises(UserError, match=r"--to hf is for networks that read texts, and .* reads images"):
        export(run_folder("lora"), "hf")
    with pytest.raises(UserError, match=r"--texts=.*texts.txt is for networks that read texts"):
        export(run_folder("lora"), "timm", images=texts)
