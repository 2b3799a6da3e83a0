"""Texts as token ids, against transformers' own tokenizer of the same file."""

import pytest

from peftlab.backbone.hf.tokenizer import FileTokenizer
from peftlab.backbone.timm.checkpoint import PACKAGED
from peftlab.errors import UserError

FILE = PACKAGED / "tiny_text" / "tokenizer.json"
FIRST, SECOND = (
    ["Who is Ada ?", "what", "a long text of many words, for truncation"],
    ["yes", "no", "it is not so long"],
)


@pytest.fixture
def theirs():
    import transformers

    named = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(FILE), **named)


@pytest.mark.parametrize("second", [None, SECOND])
@pytest.mark.parametrize("length", [64, 16, 8])
def test_tokens_and_truncation_are_those_of_transformers(theirs, second, length):
    own = FileTokenizer(FILE, 0, 153)
    found = own.encode(FIRST, second, length)
    wanted = theirs(FIRST, second, truncation=True, max_length=length, return_token_type_ids=True)
    assert [one.ids for one in found] == wanted["input_ids"]
    assert [one.types for one in found] == wanted["token_type_ids"]
    whole = theirs(FIRST, second)["input_ids"]
    assert [one.num_dropped for one in found] == [max(len(ids) - length, 0) for ids in whole]
    assert [len(one.ids) for one in own.encode(FIRST, second, 1000)] == [len(ids) for ids in whole]


def test_the_hash_tells_the_file_and_the_padding():
    first = FileTokenizer(FILE, 0, 153)
    assert len(first.hash) == 64
    assert first.hash == FileTokenizer(FILE, 0, 153).hash != FileTokenizer(FILE, 1, 153).hash


def test_a_network_with_fewer_tokens_is_refused():
    with pytest.raises(UserError, match="gives tokens up to 152, and the network has 100"):
        FileTokenizer(FILE, 0, 100)


def test_answers_stand_behind_their_prompts_and_end():
    own = FileTokenizer(PACKAGED / "tiny_causal" / "tokenizer.json", 0, 258, 1)
    prompts, answers = ["What?", "Who is it?"], [" this", " I am it"]
    found = own.encode_answers(prompts, answers, 64, None)
    for one, prompt, answer in zip(found, prompts, answers, strict=True):
        (asked,), (said,) = (own.encode([text], None, 64) for text in (prompt, answer))
        assert one.ids == [*asked.ids, *said.ids, 1]
        assert one.types == [0] * len(prompt) + [1] * (len(answer) + 1)
        assert own.decode(one.ids) == prompt + answer
    # an answer to 6 tokens, then both to 14: the second loses 3 and then 2
    cut = own.encode_answers(prompts, answers, 14, 6)
    assert [one.num_dropped for one in cut] == [0, 5]
    assert [one.ids for one in cut] == [found[0].ids, found[1].ids[:14]]
    assert own.hash != FileTokenizer(PACKAGED / "tiny_causal" / "tokenizer.json", 0, 258).hash


def test_answers_apart_are_texts_of_their_own():
    """[CLS] says [SEP], which is the end of an answer; another end stands behind it."""
    prompts, answers = ["what", "who is it"], ["no", "it is"]
    own = FileTokenizer(FILE, 0, 153, 3, answers_apart=True)
    for one, prompt, answer in zip(
        own.encode_answers(prompts, answers, 64, None), prompts, answers, strict=True
    ):
        (asked,), (said,) = (own.encode([text], None, 64) for text in (prompt, answer))
        assert one.ids == [*asked.ids, *said.ids]
        assert one.types == [0] * len(asked.ids) + [1] * len(said.ids)
        assert (said.ids[0], said.ids[-1]) == (2, 3)
    ((ids, _, _),) = FileTokenizer(FILE, 0, 153, 7, answers_apart=True).encode_answers(
        ["what"], ["no"], 64, None
    )
    assert ids[-2:] == [3, 7]
    assert own.hash != FileTokenizer(FILE, 0, 153, 3).hash


def test_special_tokens_stand_in_a_prompt_alone():
    own = FileTokenizer(FILE, 0, 153, 3)
    ((ids, types, _),) = own.encode_answers(["what"], ["no"], 64, None)
    asked = own.encode(["what"], None, 64)[0].ids
    said = own.encode(["no"], None, 64)[0].ids[1:-1]
    assert ids == [*asked, *said, 3]
    assert types == [0] * len(asked) + [1] * (len(said) + 1)
