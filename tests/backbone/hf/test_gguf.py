"""A GGUF file gives the model and the tokens that transformers' own reader gives."""

import json
import warnings

import pytest
import torch
from fixtures.gguf_file import write_gguf
from safetensors.torch import save_file

from peftlab.backbone.hf.gguf import read_gguf
from peftlab.errors import UserError

TEXTS = [
    "the other 1234 things, then",
    "naïve café — 東京",
    "<|start|>the<|end|>",
    "  two  spaces\n\nand lines",
]


@pytest.fixture
def theirs():
    """Model and tokenizer of a GGUF file by transformers."""
    import transformers

    def read(file):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = transformers.AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32
            )
            return model.eval(), transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)

    return read


def written(found, folder):
    folder.mkdir()
    save_file(found.state, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(found.config))
    (folder / "tokenizer.json").write_text(found.tokenizer)
    (folder / "tokenizer_config.json").write_text(json.dumps(found.words))
    return folder


@pytest.mark.parametrize("is_tied", [True, False])
def test_model_and_tokens_are_those_of_transformers(theirs, tmp_path, is_tied):
    import transformers

    file = write_gguf(tmp_path / "small.gguf", is_tied=is_tied)
    folder = written(read_gguf(file), tmp_path / "made")
    model, told = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    wanted, other = theirs(file)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    assert ids == [other(text)["input_ids"] for text in TEXTS]
    assert [tokenizer.decode(one) for one in ids] == TEXTS
    given = torch.tensor([ids[0]])
    with torch.no_grad():
        logits, expected = model.eval()(given).logits, wanted(given).logits
    assert expected.std() > 0.1
    assert torch.equal(logits, expected)


def test_our_backbone_reads_what_was_written(theirs, tmp_path):
    from peftlab.backbone.hf.model import hf_model

    file = write_gguf(tmp_path / "small.gguf")
    folder = written(read_gguf(file), tmp_path / "made")
    options = {"sha256": None, "depth": 2, "pool": None, "max_length": None, "quantise": None}
    found = hf_model(name=str(folder), pretrained=True, **options)
    ids = torch.tensor([[10, 20, 30, 40]])
    with torch.no_grad():
        logits = found.unembedding(found.features({"input_ids": ids, "attention_mask": torch.ones_like(ids)}))
        torch.testing.assert_close(logits, theirs(file)[0](ids).logits[:, -1], rtol=1e-5, atol=1e-5)


def test_each_digit_is_a_token_where_the_model_has_it_so(tmp_path):
    from tokenizers import Tokenizer

    for pre, wanted in (("smollm", ["1", "2", "the"]), ("gpt-2", ["12", "the"])):
        found = read_gguf(write_gguf(tmp_path / f"{pre}.gguf", pre=pre))
        cuts = Tokenizer.from_str(found.tokenizer).pre_tokenizer.pre_tokenize_str("12the")
        assert [text for text, _ in cuts] == wanted


def test_another_family_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"small.gguf holds a qwen2 with a tokenizer gpt2; legal: a llama with a gpt2"
    ):
        read_gguf(write_gguf(tmp_path / "small.gguf", architecture="qwen2"))
