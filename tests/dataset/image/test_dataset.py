"""dataset=... of pictures: every YAML, the input that acts, and each sentence for a wrong value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.configs import composed

from peftlab.dataset.batches import Draws, EvalBatches, TrainBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.dataset import image_dataset
from peftlab.dataset.image.shift import shifted
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "dataset").glob("*.yaml"))
Build = Callable[..., Dataset]

KEYS: dict[str, Any] = {
    "name": "noise",
    "path": None,
    "imbalance": None,
    "max_per_class": None,
    "seed": 0,
    "groups": {"many_above": 10, "few_below": 5},
    "group_counts_imbalance": None,
    "val_fraction": 0.0,
    "augment": "pad_crop",
    "crop_scale": [0.5, 1.0],
    "standardise": False,
    "num_workers": 0,
    "interpolation": None,
    "mean": None,
    "std": None,
    "views": None,
    "views_expand": None,
    "views_num": None,
    "class_names": None,
    "templates": [],
    "classes": "all",
    "val_max_per_class": None,
    "test_max_per_class": None,
    "shift": None,
    "shift_severity": 3,
}


def locked() -> Split:
    raise AssertionError("the test split was opened")


@pytest.fixture
def pictures(spec: InputSpec, memory_split: Callable[..., Split]) -> Callable[..., Dataset]:
    """`pictures([16, 8, 2], mean=[0.1, 0.2, 0.3])`: those images a class, and a test split that must stay shut."""

    def make(counts: list[int], run_seed: int = 0, *, val: Split | None = None, **changes: Any) -> Dataset:
        names = [f"class {number}" for number in range(len(counts))]
        source = Source(names, memory_split(counts), val, locked)
        return image_dataset(spec, run_seed, source=lambda _path: source, **(KEYS | changes))

    return make


def test_every_file_of_the_group_has_the_same_keys() -> None:
    every = {file.stem: composed(f"dataset={file.stem}")["dataset"] for file in CONFIGS}
    files = {name: node for name, node in every.items() if node["_target_"].endswith(".image_dataset")}
    assert set(files) == {
        "aid", "cifar100", "cifar100_lt", "digits", "digits_lt", "hub", "image_folder", "mstar10_lt", "image_list", "vtab1k",
        "tiny_imagenet_32",
        "imagenet_lt", "places_lt", "inaturalist18", "resisc45", "eurosat", "dota", "fusrs", "fusrs_4",
        "fgvc_cub", "fgvc_nabirds", "fgvc_flowers", "fgvc_dogs", "fgvc_cars",
        *(f"coop_{name}" for name in ("caltech101", "oxford_pets", "stanford_cars", "flowers102", "food101", "fgvc_aircraft")),
        *(f"coop_{name}" for name in ("sun397", "dtd", "eurosat", "ucf101", "imagenet")),
    }  # fmt: skip
    for name, config in files.items():
        assert set(config) == set(KEYS) | {"_target_", "source"}
        assert config["name"] == {"vtab1k": "vtab1k_caltech101"}.get(name, name)  # a set for each task


def test_digits_lt(build: Build) -> None:
    built = build("digits_lt")
    existing = build("digits").counts
    published = [int(existing.max() * (1 / 30) ** (c / 9)) for c in range(10)]
    assert built.counts.tolist() == np.minimum(published, existing).tolist()
    assert built.counts[-1] == 3
    assert built.groups == {"head": [0, 1, 2], "medium": [3, 4, 5], "tail": [6, 7, 8, 9]}
    assert built.val is None
    assert built.open_test().counts(10).min() >= 87
    batch = next(TrainBatches(built.train, built.train_transform, batch_size=32, draws=Draws(0)).iterate(0))
    assert batch.inputs["images"].shape == (32, 3, 16, 16)
    found = list(EvalBatches(built.open_test(), built.eval_transform, batch_size=500, num_workers=0))
    assert torch.cat([one.targets for one in found]).tolist() == built.open_test().labels.tolist()


def test_digits(build: Build) -> None:
    built = build("digits")
    assert built.counts.sum() + len(built.open_test()) == 1797
    assert built.groups["head"] == list(range(10))


def test_a_second_job_of_a_process_decodes_nothing_again(build: Build) -> None:
    first, second = build("digits_lt"), build("digits_lt", imbalance=5.0)
    assert first.train.items is second.train.items


def test_image_folder(build: Build, class_folders: Callable[..., Path]) -> None:
    built = build("image_folder", path=str(class_folders({"a": 10, "b": 5})))
    assert built.counts.tolist() == [8, 4]
    assert len(built.open_test()) == 3


def test_hub(build: Build, parquet_folder: Callable[..., Path]) -> None:
    root = parquet_folder({"train": [0, 0, 1, 0], "test": [1, 0]}, image="img", label="fine")
    built = build("hub", path=str(root), source={"image_column": "img", "label_column": "fine"})
    assert built.counts.tolist() == [3, 1]
    assert built.open_test().labels.tolist() == [1, 0]


@pytest.mark.data
def test_cifar100_has_the_published_counts_and_groups(
    build: Build, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTLAB_DATA", str(data_dir))
    whole = build("cifar100")
    assert (len(whole.train), len(whole.open_test())) == (50_000, 10_000)
    assert whole.groups["head"] == list(range(100))
    read_once = Source(whole.class_names, whole.train, None, locked)
    for imbalance, total in ((100.0, 10_847), (50.0, 12_608), (10.0, 19_573)):
        built = build("cifar100_lt", imbalance=imbalance, source=lambda _path: read_once)
        assert built.counts.sum() == len(built.train) == total
        assert [len(built.groups[name]) for name in ("head", "medium", "tail")] == [35, 35, 30]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "num_train", "num_test", "groups", "words"),
    [
        ("mstar10_lt", 834, 2425, [3, 4, 3], "2S1 BMP2 BRDM 2"),
        ("tiny_imagenet_32", 101_000, 10_100, [202, 0, 0], "goldfish European fire salamander bullfrog"),
        ("aid", 8000, 2000, [8, 16, 6], "airport bare land baseball field"),
    ],
)
def test_the_other_sets(
    build: Build,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    num_train: int,
    num_test: int,
    groups: list[int],
    words: str,
) -> None:
    monkeypatch.setenv("PEFTLAB_DATA", str(data_dir))
    built = build(name)
    assert " ".join(built.class_words[:3]) == words
    assert (len(built.train), len(built.open_test())) == (num_train, num_test)
    assert [len(built.groups[group]) for group in ("head", "medium", "tail")] == groups
    batch = next(TrainBatches(built.train, built.train_transform, batch_size=4, draws=Draws(0)).iterate(0))
    if name == "mstar10_lt":
        assert built.counts.tolist() == [299, 193, 125, 81, 52, 34, 22, 14, 9, 5]
        assert batch.inputs["images"].mean(dim=(1, 2, 3)).abs().max() < 1e-5


def test_the_transform_does_not_move_the_hash(pictures: Callable[..., Dataset]) -> None:
    assert pictures([4, 4]).index_hash == pictures([4, 4], augment="none").index_hash


def test_overrides_of_the_backbones_input_act(pictures: Callable[..., Dataset], spec: InputSpec) -> None:
    built = pictures([4, 4], mean=[0.1, 0.2, 0.3], std=[1.0, 1.0, 1.0], interpolation="bicubic")
    assert "bicubic" in built.transform_text
    assert "mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0)" in built.transform_text
    image = built.train.items.take(built.train.rows[:1])
    plain = pictures([4, 4], interpolation="bicubic")
    pixels = (
        plain.eval_transform(image)["images"][0] * torch.tensor(spec.std)[:, None, None]
        + torch.tensor(spec.mean)[:, None, None]
    )
    expected = pixels - torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    torch.testing.assert_close(built.eval_transform(image)["images"][0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_scale": [0.5]}, "crop_scale=.* is no range of areas; legal: .lower, upper. between 0 and 1"),
        ({"crop_scale": [0.9, 0.5]}, "crop_scale=.* is no range of areas"),
        ({"crop_scale": [0.0, 0.5]}, "crop_scale=.* is no range of areas"),
        ({"mean": [0.5]}, "mean=.0.5. is not one number a channel; legal: three"),
        ({"std": [0.5, 0.0, 0.5]}, "std=.* is not one number a channel"),
        ({"mean": [0.5, 0.5, 0.5], "standardise": True}, "mean=.* have no effect with dataset.standardise"),
    ],
)
def test_wrong_values(pictures: Callable[..., Dataset], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^dataset.{message}"):
        pictures([8, 8], **changes)


def test_classes_have_words_of_a_file_or_of_their_names(
    pictures: Callable[..., Dataset], tmp_path: Path
) -> None:
    """Of data without the key, too; the items and their hash stay."""
    plain = pictures([4, 4])
    assert plain.class_words == ["class 0", "class 1"]
    assert (plain.templates, plain.open_new) == ((), None)
    file = tmp_path / "names.txt"
    file.write_text("class 1\tdog\nclass 0\tcat\n")
    built = pictures([4, 4], class_names=str(file), templates=["a {}.", "{}"])
    assert (built.class_words, built.templates) == (["cat", "dog"], ("a {}.", "{}"))
    assert (built.class_names, built.index_hash) == (plain.class_names, plain.index_hash)
    file.write_text("class 0\tcat\n")
    with pytest.raises(UserError, match=r"^dataset\.class_names=.*names\.txt has no words for class class 1"):
        pictures([4, 4], class_names=str(file))


def test_training_on_base_classes_is_cut_counted_and_grouped_by_them_alone(
    pictures: Callable[..., Dataset],
) -> None:
    """The tail runs over the classes that are kept, and base has the items that it has among all classes."""
    built = pictures([16, 8, 2, 9, 9], classes="base", val_fraction=0.5)
    assert built.class_names == ["class 0", "class 1", "class 2"]
    assert built.counts.tolist() == [8, 4, 1]
    assert built.groups == {"head": [0], "medium": [1], "tail": [2]}
    assert built.val is not None
    assert built.val.counts(3).tolist() == [8, 4, 1]
    whole = pictures([16, 8, 2, 9, 9], max_per_class=2)
    base = pictures([16, 8, 2, 9, 9], max_per_class=2, classes="base")
    assert base.train.rows.tolist() == whole.train.rows[whole.train.labels < 3].tolist()
    assert len({data.index_hash for data in (built, whole, base)}) == 3
    tail = pictures([16, 16, 16, 16], imbalance=4.0, classes="new")
    assert tail.counts.tolist() == [16, 4]
    assert tail.open_new is None
    next(TrainBatches(built.train, built.train_transform, batch_size=4, draws=Draws(0)).iterate(0))
    assert built.open_new is not None
    for asked in (built.open_test, built.open_new):
        with pytest.raises(AssertionError, match="was opened"):
            asked()


def test_base_and_new_of_digits(build: Build) -> None:
    """The two tests are the whole one, the shots those of all classes, and each has the names of its own."""
    whole, base, new = build("digits"), build("digits", classes="base"), build("digits", classes="new")
    assert (base.class_names, new.class_names) == (list("01234"), list("56789"))
    assert base.open_new is not None
    found, test = base.open_new(), new.open_test()
    assert (found.class_names, found.class_words) == (new.class_names, new.class_words)
    assert (found.split.rows.tolist(), found.split.labels.tolist()) == (
        test.rows.tolist(),
        test.labels.tolist(),
    )
    assert sorted([*base.open_test().rows, *test.rows]) == sorted(whole.open_test().rows)
    assert set(test.labels.tolist()) == set(range(5))


def test_a_smaller_test_is_part_of_it_of_base_and_of_new_classes(build: Build) -> None:
    whole, few = build("digits", classes="base"), build("digits", classes="base", test_max_per_class=7)
    assert few.open_test().counts(5).tolist() == [7] * 5
    assert set(few.open_test().rows) < set(whole.open_test().rows)
    assert few.open_new is not None
    new = few.open_new().split
    assert new.counts(5).tolist() == [7] * 5
    alone = build("digits", classes="new", test_max_per_class=7)
    assert alone.open_test().rows.tolist() == new.rows.tolist()
    assert build("digits", test_max_per_class=7).open_test().counts(10).tolist() == [7] * 10
    assert few.note == "test: at most 7 a class"
    assert len(few.train) == len(whole.train)


@pytest.mark.parametrize("views", [None, "five_crop"])
def test_a_shift_is_of_the_test_alone(build: Build, views: str | None) -> None:
    """Of both halves of it, under any transform, with a hash of its own; training and its hash stay."""
    plain = build("digits", classes="base", views=views)
    worse = build("digits", classes="base", views=views, shift="noise", shift_severity=2)
    assert (plain.note, worse.note) == ("", "test images with noise of severity 2")
    assert worse.index_hash == plain.index_hash
    assert worse.train.items is plain.train.items
    assert plain.open_new is not None
    assert worse.open_new is not None
    for one, other in (
        (plain.open_test(), worse.open_test()),
        (plain.open_new().split, worse.open_new().split),
    ):
        assert one.rows.tolist() == other.rows.tolist()
        assert one.index_hash() != other.index_hash()
        rows = one.rows[:3]
        expected = torch.stack(
            [
                shifted(image, row, kind="noise", severity=2)
                for image, row in zip(one.items.take(rows), rows.tolist(), strict=True)
            ]
        )
        batch = EvalBatches(other, worse.tested_transform, batch_size=3, num_workers=0).batch(0)
        assert torch.equal(batch.inputs["images"], plain.tested_transform(expected)["images"])


def test_fewer_items_validate(pictures: Callable[..., Dataset], memory_split: Callable[..., Split]) -> None:
    """CoOp's: k a class of training, and min(k, 4) of the validation split, of which a class may have fewer."""
    own = memory_split([9, 3, 5])
    val = pictures([8, 8, 8], val=own, max_per_class=8, val_max_per_class=4).val
    assert val is not None
    assert val.counts(3).tolist() == [4, 3, 4]
    assert set(val.rows) <= set(own.rows)
    again, other = (pictures([8, 8, 8], val=own, val_max_per_class=4, seed=seed).val for seed in (0, 1))
    assert again is not None
    assert other is not None
    assert again.rows.tolist() == val.rows.tolist() != other.rows.tolist()
    with pytest.raises(
        UserError, match=r"^dataset\.val_max_per_class=4 would have no effect, as the data set"
    ):
        pictures([8, 8, 8], val_max_per_class=4)


def test_an_interpolation_that_tensors_do_not_have(memory_split: Callable[..., Split]) -> None:
    spec = InputSpec(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "lanczos", 1.0)
    with pytest.raises(
        UserError, match=r"^dataset\.interpolation=lanczos is not offered; legal: nearest, bilinear, bicubic"
    ):
        image_dataset(spec, 0, source=lambda _path: None, **KEYS)
