"""What batches ask of a kind of data, asked of pictures and of words that are no pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.configs import composed

from peftlab.config.directory import config_dir
from peftlab.config.resolve import choice
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.images import Images
from peftlab.dataset.image.transform import eval_transform, train_transform
from peftlab.dataset.items import Items, Transform
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.inputs.image import InputSpec
from peftlab.stream import generator

SplitOf = Callable[..., Split]
KINDS = ("pictures", "pictures of several sizes", "words")
AUGMENT = ("random_resized_crop", "pad_crop_flip", "pad_crop", "none")
ROWS = np.array([3, 0, 3, 4], dtype=np.int64)
PICTURES = sorted(
    path.stem
    for path in (config_dir() / "dataset").glob("*.yaml")
    if composed(f"dataset={path.stem}")["dataset"]["_target_"].endswith(".image_dataset")
)


@pytest.fixture
def items(memory_split: SplitOf, word_split: SplitOf, picture: Callable[..., Any]) -> Callable[[str], Any]:
    """Six items of a kind."""
    made = {
        "pictures": lambda: memory_split([6]).items,
        "pictures of several sizes": lambda: Images(
            lambda row: picture(row, 12, 12 + row), num_images=6, fingerprint="several"
        ),
        "words": lambda: word_split([6]).items,
    }
    return lambda kind: made[kind]()


@pytest.fixture
def transforms(spec: InputSpec, cut: Callable[..., Dataset]) -> Callable[[str], list[Any]]:
    """Those that a kind can have."""

    def make(kind: str) -> list[Any]:
        if kind == "words":
            return [cut([3, 3]).train_transform]
        made = [
            train_transform(spec, augment=name, crop_scale=(0.3, 1.0), standardise=name == "pad_crop")
            for name in AUGMENT
        ]
        return [*made, eval_transform(spec, standardise=False)]

    return make


def as_bytes(item: Any) -> bytes:
    return item.encode() if isinstance(item, str) else bytes(item.contiguous().numpy().tobytes())


@pytest.mark.parametrize("kind", KINDS)
def test_items_come_by_row_id_in_the_order_asked_for(items: Callable[[str], Any], kind: str) -> None:
    """A row can be named twice; what was held ready before changes nothing."""
    fresh, kept = items(kind), items(kind)
    assert isinstance(fresh, Items)
    assert fresh.fingerprint == kept.fingerprint != ""
    kept.keep(np.arange(6))
    single = [as_bytes(fresh.take(np.array([row]))[0]) for row in range(6)]
    assert len(set(single)) == 6
    for own in (items(kind), kept):
        assert [as_bytes(item) for item in own.take(ROWS)] == [single[row] for row in ROWS]


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_becomes_the_same_input_alone_and_among_others(
    items: Callable[[str], Any], transforms: Callable[[str], list[Any]], kind: str
) -> None:
    """With the generator of its own, from which alone its random numbers come."""
    own = items(kind)
    before = torch.get_rng_state()
    for transform in transforms(kind):
        assert isinstance(transform, Transform)
        assert len(transform.text.splitlines()) == 1
        together = transform(own.take(ROWS), (generator(0, place) for place in range(4)))
        assert all(len(value) == 4 for value in together.values())
        for place, row in enumerate(ROWS):
            alone = transform(own.take(np.array([row])), iter([generator(0, place)]))
            assert alone.keys() == together.keys()
            for name, value in alone.items():
                torch.testing.assert_close(value[0], together[name][place], rtol=0, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", PICTURES)
def test_every_image_set_of_the_yamls_has_items_and_transforms(
    spec: InputSpec, memory_split: SplitOf, name: str
) -> None:
    """On a source of our own, as theirs may not be on this disk."""
    names = [f"class {number}" for number in range(10)]
    source = Source(names, memory_split([40] * 10), memory_split([5] * 10), lambda: memory_split([1] * 10))
    keys = {"imbalance": None, "max_per_class": None, "group_counts_imbalance": None, "val_fraction": 0.0}
    keys |= {"groups": {"many_above": 100, "few_below": 20}, "mean": None, "std": None, "path": None}
    node = {**composed(f"dataset={name}")["dataset"], **keys}
    data: Dataset = choice(node)(spec, 0, source=lambda *_args, **_more: source)
    for split in (data.train, data.open_test()):
        assert isinstance(split.items, Items)
    for transform in (data.train_transform, data.eval_transform):
        assert isinstance(transform, Transform)
        assert transform.text in data.transform_text


@pytest.mark.parametrize("missing", ["take", "keep", "fingerprint", "noun"])
def test_what_lacks_one_of_them_is_none(missing: str) -> None:
    words = {"take": lambda self, rows: [], "keep": lambda self, rows: None, "fingerprint": "f", "noun": "n"}
    assert isinstance(type("Whole", (), words)(), Items)
    assert not isinstance(type("Part", (), {k: v for k, v in words.items() if k != missing})(), Items)
