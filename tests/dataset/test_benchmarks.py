"""The benchmarks of the field: what their YAMLs make of a small stand-in of the published layout."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from fixtures.configs import composed

from peftlab.config.directory import config_dir, header_of
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.source.dota import CLASSES
from peftlab.dataset.source.vtab1k import NUM_CLASSES, Task
from peftlab.errors import UserError

Lists = Callable[..., Path]
Build = Callable[..., Dataset]
SHIPS = ("cargo", "other", "fishing", "tanker", "dredger")


def lines(split: str, folders: list[str], counts: list[int], labels: list[int] | None = None) -> list[str]:
    """`split/folder/0.jpg label`, so many of each folder."""
    given = labels or range(len(folders))
    return [
        f"{split}/{folder}/{split}_{number}.jpg {label}"
        for folder, label, count in zip(folders, given, counts, strict=True)
        for number in range(count)
    ]


def entries(folders: list[str], ids: list[int], first: int, count: int) -> dict[str, int]:
    """VPT's: `folder/0.jpg` -> an id that need not begin at 0."""
    return {
        f"{folder}/{first + number}.jpg": label
        for folder, label in zip(folders, ids, strict=True)
        for number in range(count)
    }


SYNSETS, SCENES, SPECIES = (
    ["n01440764", "n01443537", "n01484850"],
    ["airfield", "alley", "arch"],
    ["0", "1", "2"],
)
TAIL, TEST = [101, 100, 19], [3, 3, 3]
BIRDS, IDS = ["001.Albatross", "002.Auklet"], [1, 2]
JSON = {
    "train.json": entries(BIRDS, IDS, 0, 3),
    "val.json": entries(BIRDS, IDS, 3, 1),
    "test.json": entries(BIRDS, IDS, 4, 2),
}
# name: lists, the folder of the images, classes, sizes of head, medium and tail
SETS: dict[str, tuple[dict[str, Any], str, list[str], list[int]]] = {
    "imagenet_lt": (
        {
            "ImageNet_LT_train.txt": lines("train", SYNSETS, TAIL),
            "ImageNet_LT_val.txt": [line.replace("/train_", "/val_") for line in lines("train", SYNSETS, TEST)],
            "ImageNet_LT_test.txt": lines("val", SYNSETS, TEST),
        },
        ".",
        SYNSETS,
        [1, 1, 1],
    ),
    "places_lt": (
        {"Places_LT_train.txt": lines("train", SCENES, TAIL), "Places_LT_test.txt": lines("val", SCENES, TEST)},
        ".",
        SCENES,
        [1, 1, 1],
    ),
    "inaturalist18": (
        {
            "iNaturalist18_train.txt": lines("train_val2018/Aves", SPECIES, TAIL),
            "iNaturalist18_val.txt": [f"train_val2018/Aves/{label}/x{n}.jpg {label}" for label in SPECIES for n in range(3)],
        },
        ".",
        SPECIES,
        [1, 1, 1],
    ),
    "fusrs": (
        {"train.txt": lines("train", list(SHIPS), [9, 5, 4, 3, 2]), "test.txt": lines("test", list(SHIPS), [2] * 5)},
        ".",
        list(SHIPS),
        [3, 0, 2],
    ),
    "fusrs_4": (
        {
            split: lines(split[:-4], [SHIPS[i] for i in (0, 2, 3, 4)], [4, 3, 2, 2], [0, 2, 3, 4])
            for split in ("train.txt", "test.txt")
        },
        ".",
        [SHIPS[i] for i in (0, 2, 3, 4)],
        [2, 0, 2],
    ),
    "dota": (
        {
            "dota_train_idx.txt": lines("train", list(CLASSES), [2] * 15),
            "dota_val_idx.txt": lines("val", list(CLASSES), [1] * 15),
        },
        ".",
        list(CLASSES),
        [3, 6, 6],
    ),
    "resisc45": (
        {f"{split}.txt": [f"{name}/{name}_{split}.jpg {i}" for i, name in enumerate(SCENES)] for split in ("train", "val", "test")},
        "NWPU-RESISC45",
        SCENES,
        [0, 0, 3],
    ),
    "eurosat": (
        {f"{split}.txt": [f"{name}/{name}_{split}.jpg {i}" for i, name in enumerate(SCENES)] for split in ("train", "val", "test")},
        "2750",
        SCENES,
        [0, 0, 3],
    ),
    **{f"fgvc_{name}": (JSON, "images", BIRDS, [0, 0, 2]) for name in ("cub", "nabirds")},
    "fgvc_dogs": (JSON, "Images", BIRDS, [0, 0, 2]),
    **{f"fgvc_{name}": (JSON, ".", BIRDS, [0, 0, 2]) for name in ("flowers", "cars")},
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_the_contract_of_a_set(
    name: str, listed: Lists, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classes, groups, splits without a common item, labels in range, and pictures of three channels in the backbone's size."""
    lists, image_root, classes, groups = SETS[name]
    own = composed(f"dataset={name}")["dataset"]["source"]["folder"]
    root = listed(lists, image_root, folder=own)
    (root / "classnames.txt").write_text("\n".join(classes))
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    data = build(name)
    assert data.class_names == classes
    assert [len(members) for members in data.groups.values()] == groups
    test = data.open_test()
    splits = {"train": data.train, "val": data.val, "test": test}
    sizes = [len(items) for items in lists.values()]
    assert [len(split) for split in splits.values() if split is not None] == sizes
    assert (data.val is not None) == (len(sizes) == 3)
    described = [
        split.items.contents.describe(row)
        for split in splits.values()
        if split
        for row in split.rows.tolist()
    ]
    assert len(set(described)) == sum(sizes)
    for split in filter(None, splits.values()):
        assert split.labels.dtype == np.int64
        assert set(split.labels.tolist()) == set(range(len(classes)))
    images = data.eval_transform(test.items.take(test.rows[:2]))["images"]
    assert images.shape == (2, 3, 16, 16)
    assert images.dtype == torch.float32


PLANES = ["707-320", "A300B4", "F-16A/B"]
# what the test writes of each set of CoOp's: names and words of its classes in label order, as the list has them
COOP = {
    "caltech101": ["accordion", "car_side", "face"],
    "oxford_pets": ["abyssinian", "american_bulldog", "beagle"],
    "stanford_cars": ["2012 Acura TL Sedan", "2000 AM General Hummer SUV", "2012 BMW ActiveHybrid 5 Sedan"],
    "flowers102": ["pink primrose", "hard-leaved pocket orchid", "canterbury bells"],
    "food101": ["apple_pie", "baby_back_ribs", "baklava"],
    "sun397": ["abbey", "indoor apse", "ball pit"],
    "dtd": ["banded", "blotchy", "polka-dotted"],
    "eurosat": ["Annual Crop Land", "Forest", "Highway or Road"],
    "ucf101": ["Apply_Eye_Makeup", "Apply_Lipstick", "Basketball_Dunk"],
}
COUNTS = {"train": 5, "val": 3, "test": 2}


def coop_set(listed: Lists, name: str) -> list[str]:
    """A small copy of a set's layout; its class names."""
    source = composed(f"dataset=coop_{name}")["dataset"]["source"]
    folder, root = source["folder"], source.get("image_root", ".")
    if name == "imagenet":
        lists = {
            "any.txt": lines("images/train", SYNSETS, [5, 5, 5]) + lines("images/val", SYNSETS, [2, 2, 2])
        }
        listed(lists, root, folder)
        return SYNSETS
    numbers = {split: range(sum(COUNTS.values())) for split in COUNTS}
    first = {"train": 0, "val": 5, "test": 8}
    paths = {
        (split, label): [f"{label}/{n}" for n in numbers[split][first[split] :][: COUNTS[split]]]
        for split in COUNTS
        for label in range(3)
    }
    if name == "fgvc_aircraft":
        items = {
            f"images_variant_{split}.txt": [
                f"{path.replace('/', '_')} {PLANES[label]}"
                for label in (2, 0, 1)
                for path in paths[split, label]
            ]
            for split in COUNTS
        }
        root_folder = listed(
            {"a.txt": [f"{line.split()[0]}.jpg 0" for own in items.values() for line in own]}, root, folder
        )
        for file, own in {**items, "variants.txt": PLANES}.items():
            (root_folder / file).write_text("".join(f"{line}\n" for line in own))
        return PLANES
    names = COOP[name]
    split_file = {
        split: [[f"{path}.jpg", label, names[label]] for label in (1, 0, 2) for path in paths[split, label]]
        for split in COUNTS
    }
    root_folder = listed(
        {"a.txt": [f"{path} 0" for own in split_file.values() for path, _, _ in own]}, root, folder
    )
    (root_folder / source["split_file"]).write_text(json.dumps(split_file))
    return names


@pytest.mark.parametrize("name", [*COOP, "fgvc_aircraft", "imagenet"])
def test_a_set_of_coop_s_protocol(
    name: str, listed: Lists, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splits, words and shots from a copy of its layout, and what is missing from the layout without its words or list."""
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    names = coop_set(listed, name)
    folder = tmp_path / composed(f"dataset=coop_{name}")["dataset"]["source"]["folder"]
    if name == "imagenet":
        (folder / "classnames.txt").write_text("".join(f"{code} fish {code[-1]}\n" for code in SYNSETS))
    data = build(f"coop_{name}")
    assert data.class_names == names
    assert data.class_words == (
        [f"fish {code[-1]}" for code in names] if name == "imagenet" else [n.replace("_", " ") for n in names]
    )
    assert len(data.templates) == 1
    assert data.train.counts(3).tolist() == [5] * 3
    assert data.open_test().counts(3).tolist() == [2] * 3
    assert (data.val is None) == (name == "imagenet")
    shots = build(f"coop_{name}", max_per_class=2, **({} if data.val is None else {"val_max_per_class": 1}))
    assert shots.counts.tolist() == [2] * 3
    other = build(f"coop_{name}", max_per_class=2, seed=1)
    assert set(shots.train.rows) != set(other.train.rows)
    if data.val is not None:
        assert data.val.counts(3).tolist() == [3] * 3
        assert shots.val is not None
        assert shots.val.counts(3).tolist() == [1] * 3
    images = data.eval_transform(data.train.items.take(data.train.rows[:2]))["images"]
    assert images.shape == (2, 3, 16, 16)


TEMPLATES = {
    "caltech101": "a photo of a {}.",
    "oxford_pets": "a photo of a {}, a type of pet.",
    "stanford_cars": "a photo of a {}.",
    "flowers102": "a photo of a {}, a type of flower.",
    "food101": "a photo of {}, a type of food.",
    "fgvc_aircraft": "a photo of a {}, a type of aircraft.",
    "sun397": "a photo of a {}.",
    "dtd": "{} texture.",
    "eurosat": "a centered satellite photo of {}.",
    "ucf101": "a photo of a person doing {}.",
    "imagenet": "a photo of a {}.",
}


def test_the_eleven_sets_have_the_published_sentence_and_say_where_they_come_from() -> None:
    """The numbers of their headers are those of the table of CoOp's paper."""
    sizes = {
        "caltech101": "4,128 1,649 2,465 100", "oxford_pets": "2,944 736 3,669 37", "stanford_cars": "6,509 1,635 8,041 196",
        "flowers102": "4,093 1,633 2,463 102", "food101": "50,500 20,200 30,300 101", "fgvc_aircraft": "3,334 3,333 3,333 100",
        "sun397": "15,880 3,970 19,850 397", "dtd": "2,820 1,128 1,692 47", "eurosat": "13,500 5,400 8,100 10",
        "ucf101": "7,639 1,898 3,783 101", "imagenet": "1,281,167 50,000 1,000",
    }  # fmt: skip
    yamls = {path.stem.removeprefix("coop_") for path in (config_dir() / "dataset").glob("coop_*.yaml")}
    assert yamls == TEMPLATES.keys() == sizes.keys()
    for name, template in TEMPLATES.items():
        config = composed(f"dataset=coop_{name}")["dataset"]
        header = header_of("dataset", f"coop_{name}")
        assert config["templates"] == [template]
        assert (config["name"], config["max_per_class"]) == (f"coop_{name}", None)
        assert re.search(r"^images.*https?://", "\n".join(header), re.MULTILINE), name
        files = [value for key, value in config["source"].items() if key.endswith(("_file", "_list"))]
        assert files
        assert all(file in "\n".join(header) for file in files)
        published = header[0].rpartition(": ")[2]
        assert re.findall(r"[\d,]*\d", published) == sizes[name].split(), name


def test_every_set_says_where_it_comes_from() -> None:
    """Its YAML alone: `peftlab-data check` shows these lines where something is missing."""
    for name in (*SETS, "vtab1k"):
        text = "\n".join(header_of("dataset", name))
        assert re.search(r"^images.*https?://", text, re.MULTILINE), name
        source = composed(f"dataset={name}")["dataset"]["source"]
        prepared = name in ("resisc45", "eurosat")
        named = (
            [f"{name}-train.txt", "-test.txt"] if prepared else [source["train_list"], source["test_list"]]
        )
        assert all(word in text for word in named), name
    yamls = {
        path.stem for path in (config_dir() / "dataset").glob("*.yaml") if "image_list" in path.read_text()
    }
    assert yamls - {"image_list"} <= {*SETS, "vtab1k"}


def test_the_groups_of_dota_are_its_classes() -> None:
    groups = composed("dataset=dota")["dataset"]["groups"]
    assert sorted(groups["head"] + groups["medium"] + groups["tail"]) == list(CLASSES) == sorted(CLASSES)


def vtab(listed: Lists, task: str, labels: list[int]) -> Path:
    lists = {
        f"{split}.txt": [f"images/{split}/{i:06d}.jpg {labels[i % len(labels)]}" for i in range(number)]
        for split, number in (("train800", 800), ("val200", 200), ("train800val200", 1000), ("test", 30))
    }
    return listed(lists, folder=f"vtab-1k/{task}")


def test_vtab_1k(listed: Lists, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """800 and 200, or 1,000; the classes are those of the task, and some may have no training image."""
    vtab(listed, "kitti", [0, 1, 3])
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    data = build("vtab1k", source={"task": "kitti"})
    assert data.class_names == ["0", "1", "2", "3"]
    assert data.val is not None
    assert (len(data.train), len(data.val), len(data.open_test())) == (800, 200, 30)
    assert data.counts.tolist()[2] == 0
    whole = build("vtab1k", source={"task": "kitti", "train_list": "train800val200.txt", "val_list": None})
    assert (len(whole.train), whole.val) == (1000, None)
    with pytest.raises(
        UserError, match=r"^dataset\.source\.task=dtd: there is no folder .*/vtab-1k/dtd; legal"
    ):
        build("vtab1k", source={"task": "dtd"})


def test_the_19_tasks_of_vtab() -> None:
    assert len(get_args(Task)) == len(NUM_CLASSES) == 19
    assert (
        sum(NUM_CLASSES.values())
        == 102 + 100 + 47 + 102 + 37 + 397 + 10 + 5 + 10 + 2 + 45 + 8 + 6 + 6 + 32 + 4 + 27
    )
    assert composed("dataset=vtab1k", "dataset.source.task=dtd")["dataset"]["name"] == "vtab1k_dtd"
    assert re.fullmatch(r"[a-z0-9_]+", "".join(NUM_CLASSES))
