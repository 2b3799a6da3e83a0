"""Padding to the longest text of a batch."""

import numpy as np
import torch
from fixtures.tokenizer import INPUTS

from peftlab.dataset.items import Transform
from peftlab.dataset.text.tokens import Ids
from peftlab.dataset.text.transform import TextTransform
from peftlab.stream import generator


def ids(*values: int, types: tuple[int, ...] | None = None) -> Ids:
    return Ids(np.array(values, dtype=np.int32), np.array(types or [0] * len(values), dtype=np.uint8))


BATCH = [ids(5, 6, 7, 8, types=(0, 0, 1, 1)), ids(5, 6), ids(9)]


def test_it_pads_behind_the_text_to_the_longest() -> None:
    made = TextTransform(INPUTS, 3, "text")(BATCH)
    assert {value.dtype for value in made.values()} == {torch.int64}
    assert made["input_ids"].tolist() == [[5, 6, 7, 8], [5, 6, 3, 3], [9, 3, 3, 3]]
    assert made["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert made["token_type_ids"].tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert TextTransform(INPUTS, 3, "text")(BATCH[1:])["input_ids"].shape == (2, 2)


def test_it_gives_what_the_network_reads() -> None:
    made = TextTransform(("attention_mask", "input_ids"), 0, "text")(BATCH)
    assert list(made) == ["attention_mask", "input_ids"]


def test_nothing_is_drawn() -> None:
    transform = TextTransform(INPUTS, 0, "text")
    assert isinstance(transform, Transform)
    own = generator(0, 1)
    before = own.get_state()
    made, again = transform(BATCH, [own] * 3), transform(BATCH)
    assert all(torch.equal(made[name], again[name]) for name in INPUTS)
    assert torch.equal(own.get_state(), before)
