"""Answers that a network writes: at each place its most likely token, for all questions of a batch at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from peftlab.inputs.text import ANSWERS, CACHE, TOKENS, few_at_once

SILENT = -1  # where an answer has ended
# features of the last token of inputs, `[b, d]`; the second argument has what gates gave for the question, or takes it
Features = Callable[[dict[str, Any], dict[Any, Tensor]], Float[Tensor, "b d"]]


@dataclass(frozen=True)
class Decoder:
    """`head` gives a score of every token of the vocabulary; `new_cache` is None for a network that has to read all again for
    each token, as texts are that a cache does not keep whole. An answer ends with `end_id`, after `max_new` tokens, or where question
    and answer have `max_length`."""

    features: Features
    head: nn.Module
    new_cache: Callable[[], Any] | None
    end_id: int
    max_new: int
    max_length: int

    @torch.no_grad()
    def greedy(self, inputs: dict[str, Tensor]) -> Int64[Tensor, "b m"]:
        """The tokens of each answer without its end, and SILENT behind; what `inputs` hold of an answer is not read.

        Padding stands behind the texts, as in training. A question that stands in a batch several times is read once, and an answer
        that has ended leaves it.
        """
        ids, lengths = questions_of(inputs)
        whole = torch.cat([-lengths.unsqueeze(1), ids], dim=1)  # so that the longest are the first
        rows, place = torch.unique(whole, dim=0, return_inverse=True)
        ids, lengths = rows[:, 1:], -rows[:, 0]
        longest = ids.shape[1] + self.max_new
        goes_on = self.new_cache is not None and self.new_cache().keeps(longest)
        read = _Cached(self, ids, lengths) if goes_on else _Whole(self, ids, lengths)
        said = torch.full((len(ids), self.max_new), SILENT, dtype=torch.int64, device=ids.device)
        left = torch.arange(len(ids), device=ids.device)  # the rows whose answers have not ended
        for step in range(self.max_new):
            token = read.next().argmax(-1)
            room = self.max_length - lengths[left] - step
            going = (token != self.end_id) & (room > 0)
            said[left[going], step] = token[going]
            going &= room > 1
            if step + 1 == self.max_new or not going.any():
                break
            left = left[going]
            read.take(token[going], going)
        return said[place]


def questions_of(inputs: dict[str, Tensor]) -> tuple[Int64[Tensor, "b n"], Int64[Tensor, " b"]]:
    """The tokens of the questions, zeros behind them, and how many each has."""
    lengths = (inputs[TOKENS] * (1 - inputs[ANSWERS])).sum(dim=1)
    ids = inputs["input_ids"][:, : int(lengths.max())]
    return ids * _before(lengths, ids), lengths


def _before(lengths: Int64[Tensor, " b"], ids: Int64[Tensor, "b n"]) -> Int64[Tensor, "b n"]:
    """1 for the first `lengths` tokens."""
    return (torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)).long()


class _Cached:
    """The network reads the questions, and then token for token. A new token stands behind the padding of its question, with the
    position that it has behind the question itself; it sees no padding. The longest question is the first."""

    def __init__(self, decoder: Decoder, ids: Int64[Tensor, "b n"], lengths: Int64[Tensor, " b"]) -> None:
        self._decoder, self._cache, self._kept = decoder, None, dict[Any, Tensor]()
        self._ids, self._mask, self._next = ids, _before(lengths, ids), lengths.unsqueeze(1)
        self._positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)

    def next(self) -> Float[Tensor, "b v"]:
        """Scores of what comes next."""
        inputs = {"input_ids": self._ids, TOKENS: self._mask, "position_ids": self._positions}
        if self._cache is None:
            return self._read_questions(inputs)
        return self._scores(inputs, self._cache, self._kept)

    def _read_questions(self, inputs: dict[str, Tensor]) -> Float[Tensor, "b v"]:
        """A few at once, as texts that are only read, in their order, as the longest are the first; they go on as one batch."""
        assert self._decoder.new_cache is not None
        found, caches, kept = [], [], []
        for _, few in few_at_once(inputs):
            caches.append(self._decoder.new_cache())
            kept.append(dict[Any, Tensor]())
            found.append(self._scores(few, caches[-1], kept[-1]))
        caches[0].join(caches[1:])
        self._cache = caches[0]
        self._kept = {key: torch.cat([part[key] for part in kept]) for key in kept[0]}
        return torch.cat(found)

    def _scores(self, inputs: dict[str, Tensor], cache: Any, kept: dict[Any, Tensor]) -> Float[Tensor, "b v"]:
        scores: Tensor = self._decoder.head(self._decoder.features({**inputs, CACHE: cache}, kept))
        return scores

    def take(self, token: Int64[Tensor, " g"], going: Bool[Tensor, " b"]) -> None:
        """It is this token in the rows that go on; the others are left out from here on."""
        if len(token) < len(going):
            assert self._cache is not None
            self._cache.select(going.nonzero()[:, 0])
            self._kept = {key: value[going] for key, value in self._kept.items()}
            self._mask, self._next = self._mask[going], self._next[going]
        self._ids, self._positions, self._next = token.unsqueeze(1), self._next, self._next + 1
        self._mask = torch.cat([self._mask, torch.ones_like(self._ids)], dim=1)


class _Whole:
    """The network reads question and answer again for each token."""

    def __init__(self, decoder: Decoder, ids: Int64[Tensor, "b n"], lengths: Int64[Tensor, " b"]) -> None:
        self._decoder, self._ids, self._lengths = decoder, ids, lengths
        self._kept = dict[Any, Tensor]()

    def next(self) -> Float[Tensor, "b v"]:
        """Scores of what comes next."""
        inputs = {"input_ids": self._ids, TOKENS: _before(self._lengths, self._ids)}
        scores: Tensor = self._decoder.head(self._decoder.features(inputs, self._kept))
        return scores

    def take(self, token: Int64[Tensor, " g"], going: Bool[Tensor, " b"]) -> None:
        """It is this token in the rows that go on; the others are left out from here on."""
        self._kept = {key: value[going] for key, value in self._kept.items()}
        lengths = self._lengths[going]
        ids = torch.nn.functional.pad(self._ids[going], (0, 1))[:, : int(lengths.max()) + 1]
        self._ids, self._lengths = ids.scatter(1, lengths.unsqueeze(1), token.unsqueeze(1)), lengths + 1
