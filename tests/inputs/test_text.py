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


def test_texts_come_a_few_at_once_the_longest_first_without_padding_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = torch.tensor([4, 9, 2, 7, 4])
    mask = (torch.arange(12) < lengths.unsqueeze(1)).long()
    inputs = {"input_ids": torch.arange(60).view(5, 12) * mask, TOKENS: mask}
    for at_once, few in ((60, [[1, 3, 0, 4, 2]]), (18, [[1, 3], [0, 4, 2]]), (5, [[1], [3], [0], [4], [2]])):
        monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", at_once)
        parts = list(few_at_once(inputs))
        assert [rows.tolist() for rows, _ in parts] == few
        for rows, part in parts:
            longest = int(lengths[rows].max())
            assert part[TOKENS].equal(mask[rows, :longest])
            assert part["input_ids"].equal(inputs["input_ids"][rows, :longest])
