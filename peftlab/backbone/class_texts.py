"""The classes of a data set as texts, in the tokens of a network."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from peftlab.errors import UserError
from peftlab.inputs.text import TextSpec, num_at_once

PLACES = ("end", "middle", "front")  # of the class name, in a text with a context


class Context(NamedTuple):
    """Where the tokens of the context stand in each text of a batch, and how many tokens its texts have."""

    positions: Int64[Tensor, "n m"]
    length: int


@dataclass(frozen=True, eq=False)
class ClassTexts:
    """`inputs` of the text tower, `[c num_templates, t]`, the texts of a class one behind the other.

    positions: in each text those of the tokens of its context, `words` are what stands there; None without one. per_image: each
    image of a batch has texts of its own, which its vector changes.
    """

    inputs: dict[str, Tensor]
    num_templates: int = 1
    positions: Int64[Tensor, "n m"] | None = None
    words: Int64[Tensor, " m"] | None = None
    per_image: bool = False

    @property
    def num_classes(self) -> int:
        """How many there are."""
        return len(self.inputs["input_ids"]) // self.num_templates

    @property
    def hash(self) -> str:
        """sha256 of what is read."""
        parts = [name.encode() + value.numpy().tobytes() for name, value in sorted(self.inputs.items())]
        return hashlib.sha256(repr((parts, self.num_templates, self.per_image)).encode()).hexdigest()

    def rows(self, num_images: int, device: torch.device) -> dict[str, Tensor]:
        """What the text tower reads beside so many images, image by image where each has its own."""
        times = num_images if self.per_image else 1
        return {name: value.to(device).repeat(times, 1) for name, value in self.inputs.items()}

    def parts(self, inputs: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """As few images at once as have `num_at_once` texts, each having all of them."""
        num, device = next((len(value), value.device) for value in inputs.values())
        size = num_at_once(self.inputs["input_ids"].numel(), device)
        return [{name: value[at : at + size] for name, value in inputs.items()} for at in range(0, num, size)]

    def context(self, num_images: int, device: torch.device) -> Context | None:
        """The context of these rows."""
        if self.positions is None:
            return None
        times = num_images if self.per_image else 1
        return Context(self.positions.to(device).repeat(times, 1), self.inputs["input_ids"].shape[1])


def class_texts(spec: TextSpec, texts: list[list[str]]) -> ClassTexts:
    """Of each class its texts, as many for each.

    Raises:
        UserError: for a text that is longer than the network reads.
    """
    whole = [text for own in texts for text in own]
    return ClassTexts(_inputs(spec, whole), len(texts[0]))


def context_texts(
    spec: TextSpec, names: list[str], words: str, place: str, *, per_image: bool = False
) -> ClassTexts:
    """Of each class one text: the context (`words`) and the name, which stands at the `end`, in the `middle` or in `front` of it.

    Raises:
        UserError: for a text that is longer than the network reads.
    """
    said = words.split()
    cut = {"end": len(said), "middle": len(said) // 2, "front": 0}[place]
    left, right = " ".join(said[:cut]), " ".join(said[cut:])
    texts = [" ".join(part for part in (left, name, right) if part) + "." for name in names]
    inputs, start, ids = _inputs(spec, texts), _start(spec), _ids(spec, words)
    before, lengths = len(_ids(spec, left)), [len(_ids(spec, name)) for name in names]
    positions = torch.tensor(
        [[start + at + (length if at >= before else 0) for at in range(len(ids))] for length in lengths]
    )
    wrong = (inputs["input_ids"].gather(1, positions) != torch.tensor(ids)).any(1).nonzero().flatten()
    if len(wrong):
        raise UserError(
            f"peft.words={words} are other tokens in the text {texts[int(wrong[0])]!r} than alone; legal: words that no letter joins"
        )
    return ClassTexts(inputs, 1, positions, torch.tensor(ids), per_image)


def _ids(spec: TextSpec, text: str) -> list[int]:
    """The tokens of some words, without those that every text has."""
    start, whole, empty = _start(spec), _encoded(spec, text), _encoded(spec, "")
    return whole[start : len(whole) - (len(empty) - start)]


def _start(spec: TextSpec) -> int:
    """How many tokens every text begins with."""
    one, other = _encoded(spec, "a"), _encoded(spec, "the")
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _encoded(spec: TextSpec, text: str) -> list[int]:
    """Its tokens, without the padding that some networks read."""
    ids = list(spec.tokenizer.encode([text], None, spec.max_length)[0].ids)
    while ids and ids[-1] == spec.tokenizer.pad_id:
        ids.pop()
    return ids


def _inputs(spec: TextSpec, texts: list[str]) -> dict[str, Tensor]:
    """What the network reads, padded to the longest."""
    found = spec.tokenizer.encode(texts, None, spec.max_length)
    for text, one in zip(texts, found, strict=True):
        if one.num_dropped:
            raise UserError(
                f"task: the text {text!r} of a class has {len(one.ids) + one.num_dropped} tokens; legal: at most {spec.max_length}"
            )
    length = max(len(one.ids) for one in found)
    shape = (len(found), length)
    pad = spec.tokenizer.pad_id
    values = {
        name: torch.full(shape, start, dtype=torch.int64)
        for name, start in (("input_ids", pad), ("attention_mask", 0), ("token_type_ids", 0))
    }
    for row, one in enumerate(found):
        values["input_ids"][row, : len(one.ids)] = torch.tensor(one.ids)
        values["attention_mask"][row, : len(one.ids)] = 1
    return {name: values[name] for name in spec.inputs}
