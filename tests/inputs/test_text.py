"""What a text backbone says of its inputs."""

import pytest
import torch

from peftlab.inputs.text import TOKENS, TOKENS_AT_ONCE, Encoded, TextSpec, Tokenizer, few_at_once


class Letters:
    """A token for each letter."""

    hash = "0" * 64
    pad_id = 7

    def encode(self, first: list[str], second: list[str] | None, max_length: int) -> list[Encoded]:
        texts = first if second is None else [a + b for a, b in zip(first, second, strict=True)]
        return [
            Encoded([ord(x) for x in text[:max_length]], [0] * len(text[:max_length]), 0) for text in texts
        ]


def test_an_example_has_what_the_network_reads_and_no_more() -> None:
    spec = TextSpec(Letters(), 512, ("input_ids", "attention_mask"))
    example = spec.example()
    assert list(example) == ["input_ids", "attention_mask"]
    assert {value.dtype for value in example.values()} == {torch.int64}
    assert {tuple(value.shape) for value in example.values()} == {(1, 16)}
    assert example["input_ids"].unique().tolist() == [7]
    assert example["attention_mask"].unique().tolist() == [1]


def test_an_example_is_no_longer_than_the_network_takes() -> None:
    example = TextSpec(Letters(), 4, ("input_ids", "token_type_ids")).example()
    assert {tuple(value.shape) for value in example.values()} == {(1, 4)}
    assert example["token_type_ids"].sum() == 0


def test_a_tokenizer_is_what_has_its_three_words() -> None:
    assert isinstance(Letters(), Tokenizer)
    assert not isinstance("text", Tokenizer)


def test_texts_come_a_few_at_once_in_their_order_without_padding_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = torch.tensor([9, 7, 4, 4, 2])
    mask = (torch.arange(9) < lengths.unsqueeze(1)).long()
    inputs = {"input_ids": torch.arange(45).view(5, 9) * mask, TOKENS: mask}
    for at_once, sizes in ((45, [5]), (18, [2, 2, 1]), (5, [1] * 5)):
        monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", at_once)
        parts = list(few_at_once(inputs))
        assert [len(part[TOKENS]) for part in parts] == sizes
        found = torch.cat([part["input_ids"][part[TOKENS] == 1] for part in parts])
        assert found.equal(inputs["input_ids"][mask == 1])
        assert all(bool(part[TOKENS].any(0).all()) for part in parts)
