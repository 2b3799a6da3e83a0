"""Probabilities of texts are those of each text alone, in the order in which they are given."""

import pytest
import torch

from peftlab.dataset.text.texts import Columns
from peftlab.model.load import read_run
from peftlab.predict.texts import predict_texts

FIRST = [
    "a rather long text, of many words and letters",
    "short",
    "what is it ?",
    "was it",
    "another one here",
]
SECOND = ["yes", "it is not so short", "no", "an answer of several words", "maybe"]


def alone(trained, words, length=66):
    """By the library `tokenizers` and the model, without padding."""
    from tokenizers import Tokenizer

    from peftlab.backbone.timm.checkpoint import PACKAGED

    theirs = Tokenizer.from_file(str(PACKAGED / "tiny_text" / "tokenizer.json"))
    theirs.enable_truncation(length)
    found = theirs.encode(*words)
    inputs = {
        "input_ids": found.ids,
        "attention_mask": [1] * len(found.ids),
        "token_type_ids": found.type_ids,
    }
    names = trained.backbone.input_spec.inputs
    with torch.no_grad():
        return trained.model(**{name: torch.tensor([inputs[name]]) for name in names})[0].softmax(-1)


@pytest.mark.parametrize("method", ["lora", "prefix", "vpt_deep", "bitfit", "unipelt"])
def test_every_text_alone(text_run, method):
    trained = read_run(text_run(f"peft={method}", "head=linear"))
    said = predict_texts(trained, Columns(FIRST, None), batch_size=2)
    wanted = torch.stack([alone(trained, (text,)) for text in FIRST])
    assert wanted.log().std(dim=0).max() > 0.01
    torch.testing.assert_close(said.probabilities.log(), wanted.log(), rtol=1e-3, atol=1e-3)
    assert (said.num_cut, said.max_length) == (0, 64)


def test_pairs_and_the_length_of_the_run(text_run):
    trained = read_run(text_run("dataset=sick", "dataset.max_length=20"))
    said = predict_texts(trained, Columns(FIRST, SECOND), batch_size=3)
    wanted = torch.stack([alone(trained, pair, 20) for pair in zip(FIRST, SECOND, strict=True)])
    torch.testing.assert_close(said.probabilities.log(), wanted.log(), rtol=1e-3, atol=1e-3)
    assert said.max_length == 20
    assert 0 < said.num_cut <= 5
    swapped = predict_texts(trained, Columns(SECOND, FIRST), batch_size=3)
    assert not torch.allclose(said.probabilities.log(), swapped.probabilities.log(), atol=0.01)
