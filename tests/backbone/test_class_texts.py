"""The tokens of classes: where the name stands, and where the context."""

from types import SimpleNamespace

import pytest
import torch

from peftlab.backbone.class_texts import ClassTexts, class_texts, context_texts
from peftlab.errors import UserError
from peftlab.inputs.text import Encoded, TextSpec

BEGIN, END, PAD = 1, 2, 0


class Words:
    """A token for each word and each full stop, by its number in `seen`."""

    hash = "0" * 64
    pad_id = PAD

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def encode(self, first: list[str], second: list[str] | None, max_length: int) -> list[Encoded]:
        found = []
        for text in first:
            words = text.replace(".", " .").split()
            ids = [BEGIN, *(self.seen.setdefault(word, len(self.seen) + 3) for word in words), END]
            found.append(
                Encoded(ids[:max_length], [0] * min(len(ids), max_length), max(0, len(ids) - max_length))
            )
        return found


@pytest.fixture
def spec() -> TextSpec:
    return TextSpec(Words(), 12, ("input_ids", "attention_mask"))


def said(spec: TextSpec, texts: ClassTexts) -> list[str]:
    named = {number: word for word, number in spec.tokenizer.seen.items()}  # type: ignore[attr-defined]
    return [
        " ".join(named[index] for index in row if index in named)
        for row in texts.inputs["input_ids"].tolist()
    ]


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("end", ["a photo of a cow .", "a photo of a big red bear ."]),
        ("middle", ["a photo cow of a .", "a photo big red bear of a ."]),
        ("front", ["cow a photo of a .", "big red bear a photo of a ."]),
    ],
)
def test_the_context_is_where_its_words_are(spec: TextSpec, place: str, wanted: list[str]) -> None:
    texts = context_texts(spec, ["cow", "big red bear"], "a photo of a", place)
    assert said(spec, texts) == wanted
    assert texts.positions is not None
    assert texts.words is not None
    found = texts.inputs["input_ids"].gather(1, texts.positions)
    assert torch.equal(found, texts.words.expand(2, -1))
    assert (texts.num_classes, texts.positions.shape) == (2, (2, 4))
    names = texts.inputs["input_ids"].clone().scatter(1, texts.positions, PAD)
    assert [[int(i) for i in row if i > END] for row in names.tolist()] == [
        [spec.tokenizer.seen[word] for word in (*name.split(), ".")]  # type: ignore[attr-defined]
        for name in ("cow", "big red bear")
    ]


def test_padding_is_told(spec: TextSpec) -> None:
    texts = class_texts(spec, [["a", "the a"], ["b c d", "e"]])
    assert texts.num_classes == 2
    assert texts.num_templates == 2
    assert texts.inputs["attention_mask"].sum(1).tolist() == [3, 4, 5, 3]
    assert (texts.inputs["input_ids"] == PAD).equal(texts.inputs["attention_mask"] == 0)
    assert texts.positions is None
    assert texts.context(3, torch.device("cpu")) is None


def test_each_image_has_its_own(spec: TextSpec) -> None:
    texts = context_texts(spec, ["cow", "bear"], "a", "end", per_image=True)
    rows = texts.rows(3, torch.device("cpu"))
    assert rows["input_ids"].tolist() == texts.inputs["input_ids"].tolist() * 3
    context = texts.context(3, torch.device("cpu"))
    assert context is not None
    assert context.positions.shape == (6, 1)
    assert context.length == texts.inputs["input_ids"].shape[1]


def test_a_text_that_is_too_long(spec: TextSpec) -> None:
    with pytest.raises(
        UserError, match=r"the text 'a b c d e f g h i j k' of a class has 13 tokens; legal: at most 12"
    ):
        class_texts(spec, [["a b c d e f g h i j k"]])


def test_words_that_a_name_changes() -> None:
    """A tokenizer that joins what it likes."""

    class Joining(Words):
        def encode(self, first: list[str], second: list[str] | None, max_length: int) -> list[Encoded]:
            return super().encode([text.replace("of cow", "ofcow") for text in first], second, max_length)

    spec = TextSpec(Joining(), 12, ("input_ids", "attention_mask"))
    with pytest.raises(
        UserError, match=r"peft.words=photo of are other tokens in the text 'photo of cow\.' than alone"
    ):
        context_texts(spec, ["cow"], "photo of", "end")


def test_a_network_with_types_of_tokens() -> None:
    spec = TextSpec(Words(), 12, ("input_ids", "attention_mask", "token_type_ids"))
    assert class_texts(spec, [["a b"]]).inputs["token_type_ids"].tolist() == [[0, 0, 0, 0]]
    assert SimpleNamespace(**class_texts(spec, [["a"]]).inputs).input_ids.shape == (1, 3)
