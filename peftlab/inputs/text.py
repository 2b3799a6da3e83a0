"""What a backbone expects of its input texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

EXAMPLE_TOKENS = 16
# of texts that are only read: beyond it what a layer gives fits no cache of a CPU; and elsewhere half a GiB
TOKENS_AT_ONCE = {"cpu": 4096, "other": 65_536}
TOKENS = "attention_mask"  # of the inputs: 1 for a token, 0 for padding
ANSWERS = "answer_mask"  # of texts with answers: 1 for a token of the answer
CACHE = "cache"  # of a text that is read token by token: what the network keeps of those that came before


class Masks(NamedTuple):
    """1 for each token of a batch of texts that is no padding (`present`), and of these that says what is asked (`asked`): a
    model that is to give an answer has not seen it. `[b, t]`; None is all."""

    present: Tensor | None
    asked: Tensor | None


def masks_of(inputs: dict[str, Tensor]) -> Masks:
    """Those of a network's inputs; of a text that is read on from a cache those of its new tokens."""
    present, answers = inputs.get(TOKENS), inputs.get(ANSWERS)
    if present is not None and CACHE in inputs:
        present = present[:, -inputs["input_ids"].shape[1] :]
    return Masks(present, present if present is None or answers is None else present * (1 - answers))


def said_of(inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What a decoder behind an encoder is to say: the tokens of each answer from the left on, or of the text where there are no
    answers, and which of them are no padding; `[b, t]` each. Of a text that is read on from a cache one token."""
    ids, present, answers = inputs["input_ids"], inputs[TOKENS], inputs.get(ANSWERS)
    if CACHE in inputs:
        return ids[:, :1], torch.ones_like(present[:, :1])
    if answers is None or answers.is_meta:  # no numbers that say how many
        return ids, present
    counts = answers.sum(dim=1, keepdim=True)
    order = answers.argsort(dim=1, descending=True, stable=True)[:, : int(counts.max())]
    said = ids.gather(1, order)
    return said, (torch.arange(said.shape[1], device=ids.device) < counts).to(present.dtype)


def num_at_once(num_tokens: int, device: torch.device) -> int:
    """How many texts of so many tokens, or images with so many tokens of texts each, are read together: one at least."""
    return max(1, TOKENS_AT_ONCE.get(device.type, TOKENS_AT_ONCE["other"]) // num_tokens)


def few_at_once(
    inputs: dict[str, Tensor],
) -> Iterator[tuple[Int64[Tensor, " k"], dict[str, Int64[Tensor, "k t"]]]]:
    """The rows of `num_at_once` texts, the longest first, and their part of `inputs`, each `[b, t]`, as long as the longest of them."""
    lengths = inputs[TOKENS].sum(dim=1)
    left = lengths.argsort(descending=True, stable=True)
    while len(left):
        longest = int(lengths[left[0]])
        rows, left = left.tensor_split([num_at_once(longest, lengths.device)])
        yield rows, {name: value[rows, :longest] for name, value in inputs.items()}


class Encoded(NamedTuple):
    """The token ids of a text or a pair, which of the two each belongs to (0, 1), and how many truncation took."""

    ids: list[int]
    types: list[int]
    num_dropped: int


@runtime_checkable
class Tokenizer(Protocol):
    """From texts to token ids, with the special tokens of its network. `hash` is a sha256 of what it is made of."""

    hash: str
    pad_id: int

    def encode(self, first: list[str], second: list[str] | None, max_length: int) -> list[Encoded]:
        """Each text, or each pair of texts, as at most `max_length` tokens, the special ones among them."""


@runtime_checkable
class Writer(Tokenizer, Protocol):
    """The tokenizer of a network that writes texts. `end_id` is the token that ends one; None: the network has none."""

    end_id: int | None

    def encode_answers(
        self, prompts: list[str], answers: list[str], max_length: int, max_answer: int | None
    ) -> list[Encoded]:
        """Each prompt (type 0) and behind it its answer with the token that ends it (type 1): the answer cut to `max_answer`
        tokens, then both to `max_length`. The tokens of a prompt do not depend on its answer."""

    def decode(self, ids: list[int]) -> str:
        """The text of some tokens, without special ones."""


@dataclass(frozen=True)
class TextSpec:
    """Its tokenizer, the tokens that the network takes, and the names of what it reads.

    These are `input_ids`, `attention_mask` (1: a token, 0: padding) and `token_type_ids`, each int64 `[b, t]`, as far as
    they stand in `inputs`.
    """

    noun: ClassVar[str] = "texts"

    tokenizer: Tokenizer
    max_length: int
    inputs: tuple[str, ...]

    def example(self) -> dict[str, Int64[Tensor, "1 t"]]:
        """The inputs of one text of a few tokens, which say nothing."""
        shape = (1, min(self.max_length, EXAMPLE_TOKENS))
        values = {"input_ids": self.tokenizer.pad_id, "attention_mask": 1, "token_type_ids": 0}
        return {name: torch.full(shape, values[name], dtype=torch.int64) for name in self.inputs}
