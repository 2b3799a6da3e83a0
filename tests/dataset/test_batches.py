"""Batches are pure functions of their number: order, augmentation, resume, workers, global random state."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from peftlab.dataset.batches import Draws, EvalBatches, GroupedBatches, TrainBatches
from peftlab.dataset.image.images import Images
from peftlab.dataset.image.transform import eval_transform, train_transform
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.inputs.image import InputSpec

# From Python 3.12 on, forking a process that has threads warns; DataLoader forks by default.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SplitOf = Callable[..., Split]


@pytest.fixture
def batches(spec: InputSpec, memory_split: SplitOf) -> Callable[..., TrainBatches]:
    def make(
        counts: list[int] | None = None, *, batch_size: int = 8, num_workers: int = 0, **keys: Any
    ) -> TrainBatches:
        transform = train_transform(spec, augment="pad_crop_flip", crop_scale=(0.1, 1.0), standardise=False)
        draws = Draws(**{"seed": 0, **keys})
        split = memory_split(counts or [20, 9])
        return TrainBatches(split, transform, batch_size=batch_size, draws=draws, num_workers=num_workers)

    return make


def take(loader: TrainBatches, start: int, number: int) -> list[Batch]:
    return list(islice(loader.iterate(start), number))


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for pair in pairs for a, b in zip(*map(flat, pair), strict=True))


def flat(batch: Batch) -> list[torch.Tensor]:
    return [batch.inputs["images"], batch.targets, batch.rows]


def test_an_epoch_visits_every_item_once_and_keeps_the_last_batch(
    batches: Callable[..., TrainBatches],
) -> None:
    loader = batches()
    assert loader.num_batches == 4
    found = take(loader, 0, 8)
    assert [len(batch.targets) for batch in found] == [8, 8, 8, 5] * 2
    epochs = [torch.cat([batch.rows for batch in found[start : start + 4]]).tolist() for start in (0, 4)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(29))
    assert epochs[0] != epochs[1]


def test_labels_belong_to_rows(batches: Callable[..., TrainBatches], memory_split: SplitOf) -> None:
    labels = memory_split([20, 9]).labels
    for batch in take(batches(), 0, 4):
        assert batch.targets.tolist() == labels[batch.rows.numpy()].tolist()


@pytest.mark.parametrize("start", [0, 3, 4, 9])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_any_batch_can_be_the_first(
    batches: Callable[..., TrainBatches], start: int, num_workers: int
) -> None:
    straight = take(batches(), 0, 12)
    assert equal(take(batches(num_workers=num_workers), start, 12 - start), straight[start:])


def test_seeds_and_streams_differ_and_seed_zero_is_one(batches: Callable[..., TrainBatches]) -> None:
    first = take(batches(seed=0), 0, 4)
    assert equal(first, take(batches(seed=0), 0, 4))
    for other in (batches(seed=1), batches(seed=0, stream="meta_order")):
        rows = [batch.rows.tolist() for batch in take(other, 0, 4)]
        assert rows != [batch.rows.tolist() for batch in first]


def by_row(found: list[Batch]) -> dict[int, torch.Tensor]:
    return {
        int(row): image
        for batch in found
        for row, image in zip(batch.rows, batch.inputs["images"], strict=True)
    }


@pytest.mark.parametrize(("sampler", "shares"), [("class_balanced", (1, 1, 1)), ("square_root", (20, 10, 2))])
def test_a_sampler_draws_classes_as_often_as_it_says(
    batches: Callable[..., TrainBatches], memory_split: SplitOf, sampler: str, shares: tuple[int, ...]
) -> None:
    """An epoch is as long as it was; within a class every item is as likely. 60 epochs of 504 items."""
    loader = batches([400, 100, 4], batch_size=504, sampler=sampler)
    assert loader.num_batches == 1
    found = [loader.batch(number) for number in range(60)]
    num = np.bincount(torch.cat([batch.targets for batch in found]).numpy())
    wanted = num.sum() * np.array(shares) / sum(shares)
    assert (np.abs(num - wanted) < 5 * np.sqrt(wanted)).all()
    rows = np.bincount(torch.cat([batch.rows for batch in found]).numpy())
    each = rows[memory_split([400, 100, 4]).labels == 1]
    assert len(each) == 100
    assert each.std() < 2 * np.sqrt(each.mean())


def test_a_sampler_has_the_same_epochs_wherever_it_begins_and_in_shares(
    batches: Callable[..., TrainBatches],
) -> None:
    whole = take(batches(sampler="square_root"), 0, 12)
    assert equal(take(batches(sampler="square_root"), 5, 7), whole[5:])
    parts = [next(batches(sampler="square_root").iterate(2, (rank, 2))).rows for rank in (0, 1)]
    assert torch.equal(torch.stack(parts, dim=1).ravel(), whole[2].rows)
    assert not equal(whole, take(batches(sampler="square_root", seed=1), 0, 12))


def test_an_item_that_comes_again_is_augmented_anew(
    batches: Callable[..., TrainBatches], memory_split: SplitOf
) -> None:
    """Its first time as if it came once."""
    keys = {"counts": [60, 2], "batch_size": 62}
    drawn, once = batches(**keys, sampler="class_balanced").batch(0), batches(**keys).batch(0)
    rare = int(np.flatnonzero(memory_split([60, 2]).labels == 1)[0])
    again = (drawn.rows == rare).nonzero().flatten().tolist()
    assert len(again) > 3
    pictures = [drawn.inputs["images"][place] for place in again]
    assert torch.equal(pictures[0], once.inputs["images"][once.rows.tolist().index(rare)])
    assert len({picture.numpy().tobytes() for picture in pictures}) > 1


def test_augmentation_depends_on_epoch_and_row_and_nothing_else(batches: Callable[..., TrainBatches]) -> None:
    loader = batches()
    first, second = by_row(take(loader, 0, 4)), by_row(take(loader, 4, 4))
    in_tens = by_row(take(batches(batch_size=10), 0, 3))
    assert all(torch.equal(first[row], in_tens[row]) for row in range(29))
    assert sum(torch.equal(first[row], second[row]) for row in range(29)) < 6  # one in 50 by chance
    other_seed = by_row(take(batches(seed=1), 0, 4))
    assert sum(torch.equal(first[row], other_seed[row]) for row in range(29)) < 6


def test_a_subset_keeps_the_augmentation_of_its_rows(spec: InputSpec, memory_split: SplitOf) -> None:
    transform = train_transform(spec, augment="pad_crop", crop_scale=(0.1, 1.0), standardise=False)
    split = memory_split([20, 9])
    part = split.subset(np.array([2, 11, 28], dtype=np.int64))
    whole, some = (
        by_row(take(TrainBatches(x, transform, batch_size=50, draws=Draws(0)), 0, 1)) for x in (split, part)
    )
    assert set(some) == {2, 11, 28}
    assert all(torch.equal(whole[row], image) for row, image in some.items())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_global_random_state_is_not_touched(batches: Callable[..., TrainBatches], num_workers: int) -> None:
    def state() -> tuple[object, ...]:
        # Not Python's `random`: beartype, which checks the annotations here, draws from it to sample lists.
        numpy = np.random.get_state()
        return torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2:]

    torch.manual_seed(5)
    before = state()
    first = take(batches(num_workers=num_workers), 0, 5)
    assert state() == before
    torch.manual_seed(6)
    assert equal(take(batches(num_workers=num_workers), 0, 5), first)


def test_training_without_images_is_refused(
    batches: Callable[..., TrainBatches], memory_split: SplitOf
) -> None:
    with pytest.raises(ValueError, match="without items"):
        batches([0, 0])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_is_in_order(spec: InputSpec, memory_split: SplitOf, num_workers: int) -> None:
    transform = eval_transform(spec, standardise=False)
    split = memory_split([20, 9]).subset(np.arange(28, -1, -1))
    loader = EvalBatches(split, transform, batch_size=10, num_workers=num_workers)
    for _ in range(2):
        found = list(loader)
        assert [len(batch.rows) for batch in found] == [10, 10, 9]
        assert len(loader) == 3
        assert torch.cat([batch.rows for batch in found]).tolist() == list(range(28, -1, -1))
        assert torch.equal(
            torch.cat([batch.inputs["images"] for batch in found]),
            transform(split.items.take(split.rows))["images"],
        )
        assert torch.cat([batch.targets for batch in found]).tolist() == split.labels.tolist()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_image_is_one_sentence_in_every_process(spec: InputSpec, num_workers: int) -> None:
    """Pictures of several sizes, which are decoded in the workers."""

    def decode(row: int) -> np.ndarray:
        if row == 5:
            raise UserError("dataset.path holds an unreadable image, x/5.png; legal: whole files")
        return np.zeros((8 + row, 8, 3), dtype=np.uint8)

    labels = np.zeros(6, dtype=np.int64)
    split = Split(Images(decode, num_images=6, fingerprint="broken"), labels, np.arange(6, dtype=np.int64))
    transform = eval_transform(spec, standardise=False)
    with pytest.raises(UserError) as error:
        list(EvalBatches(split, transform, batch_size=2, num_workers=num_workers))
    assert str(error.value) == "dataset.path holds an unreadable image, x/5.png; legal: whole files"


class Long:
    """Items of any length; `take` gives the lengths."""

    noun, fingerprint = "texts", "0" * 64

    def __init__(self, lengths: list[int]) -> None:
        self.of = np.array(lengths, dtype=np.int64)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.of[rows]

    def keep(self, rows: np.ndarray) -> None:
        """They are here."""

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        return self.of[rows]


class Lengths:
    text = "their lengths"

    def __call__(self, items: np.ndarray, generators: object = ()) -> dict[str, torch.Tensor]:
        return {"length": torch.from_numpy(items)}


@pytest.fixture
def long() -> Split:
    """137 items of 3 to 60 tokens, most of them short, whose rows are no positions."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(3 + rng.exponential(12, 300).astype(int), 60).tolist()
    rows = rng.permutation(300)[:137].astype(np.int64)
    return Split(Long(lengths), rows % 5, rows)


def padding(found: list[Batch]) -> float:
    """The share of what a network reads."""
    read = sum(int(batch.inputs["length"].max()) * len(batch.rows) for batch in found)
    return 1 - sum(int(batch.inputs["length"].sum()) for batch in found) / read


def test_evaluation_has_the_longest_first_and_says_where_they_stand(long: Split) -> None:
    plain, sorted_ = (
        EvalBatches(long, Lengths(), batch_size=10, num_workers=0, by_length=by_length)
        for by_length in (False, True)
    )
    rows = torch.cat([batch.rows for batch in sorted_]).numpy()
    assert len(sorted_) == len(plain) == 14
    assert np.array_equal(rows, long.rows[sorted_.order])
    assert np.array_equal(np.sort(sorted_.order), np.arange(137))
    lengths = torch.cat([batch.inputs["length"] for batch in sorted_])
    assert (lengths.diff() <= 0).all()
    assert all(torch.equal(batch.targets, batch.rows % 5) for batch in sorted_)
    assert np.array_equal(plain.order, np.arange(137))
    assert padding(list(sorted_)) < 0.2 < 0.4 < padding(list(plain))


def test_pictures_have_no_length(spec: InputSpec, memory_split: SplitOf) -> None:
    split, transform = memory_split([9, 4]), eval_transform(spec, standardise=False)
    found = EvalBatches(split, transform, batch_size=5, num_workers=0, by_length=True)
    assert np.array_equal(found.order, np.arange(13))
    two = [kind(split, transform, batch_size=5, draws=Draws(3)) for kind in (TrainBatches, GroupedBatches)]
    assert equal(*(list(islice(each.iterate(0), 6)) for each in two))
    assert [each.widths() for each in two] == [None, None]


def test_grouped_batches_are_drawn_and_have_little_padding(long: Split) -> None:
    one, again, other = (
        GroupedBatches(long, Lengths(), batch_size=10, draws=Draws(seed)) for seed in (0, 0, 1)
    )
    found = list(islice(one.iterate(0), 28))
    epochs = [torch.cat([batch.rows for batch in found[start : start + 14]]) for start in (0, 14)]
    assert [len(batch.rows) for batch in found] == ([10] * 13 + [7]) * 2
    assert all(sorted(epoch.tolist()) == sorted(long.rows.tolist()) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert torch.equal(again.batch(20).rows, found[20].rows)  # any can be the first
    assert not torch.equal(other.batch(0).rows, found[0].rows)
    plain = list(islice(TrainBatches(long, Lengths(), batch_size=10, draws=Draws(0)).iterate(0), 28))
    assert padding(found) < 0.7 * padding(plain)
    widths = [int(batch.inputs["length"].max()) for batch in found]
    for epoch in (0, 1):
        told = one.widths(epoch)
        assert told is not None
        assert told.tolist() == widths[14 * epoch : 14 * (epoch + 1)]
    longest = widths[:13]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)
