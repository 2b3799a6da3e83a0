"""What is refused before torch is imported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftlab.config.resolve import resolve

Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]
LISTS = {"dataset.groups.many_above": None, "dataset.groups.few_below": None}


@pytest.mark.parametrize(
    ("dataset", "values", "words"),
    [
        ("image_folder", {"path": ""}, "path= is not legal; legal: a word or null"),
        ("hub", {"path": "  "}, "path is empty"),
        ("image_folder", {}, "path=null names no folder"),
        ("image_folder", {"path": "/no/such"}, "path=/no/such is not a folder"),
        ("hub", {}, "path=null names no data set; legal: "),
        ("hub", {"path": "/no/such"}, "path=/no/such is not a folder; legal: "),
        ("mstar10_lt", {}, "path=null and the set mstar10 was not found"),
        ("image_list", {}, "path=null names no folder; legal: a folder of images with lists"),
        ("image_list", {"path": "/no/such"}, "path=/no/such is not a folder; legal: "),
        ("imagenet_lt", {}, "path=null and the set imagenet_lt was not found (PEFTLAB_DATA is not set)"),
        ("imagenet_lt", {"path": "/", "val_fraction": 0.1}, "val_fraction=0.1 but the data set has its own"),
        ("vtab1k", {}, "path=null and the set vtab-1k was not found"),
        ("vtab1k", {"path": "/", "source.task": "mnist"}, "source.task=mnist is not legal; legal: caltech101, cifar, "),
        ("digits", {"path": "/"}, "path=/ has no meaning for digits"),
        ("svamp", {"template": "{question}"}, "template='{question}' is no way from a question to its answer"),
        ("svamp", {"template": "{answer} {question}"}, "template='{answer} {question}' is no way"),
        ("digits", {"crop_scale": [0.5, 0.2]}, "crop_scale=[0.5, 0.2] is no range of areas"),
        ("digits", {"crop_scale": [0.0, 1.0]}, "crop_scale="),
        ("digits", {"crop_scale": [0.5]}, "crop_scale="),
        ("digits", {"crop_scale": [0.5, 1.5]}, "crop_scale="),
        ("digits", {"mean": [0.5]}, "mean=[0.5] is not one number a channel"),
        ("digits", {"views": "six_crop"}, "views=six_crop is not legal; legal: five_crop, ten_crop, random_resized_crop or null"),
        ("digits", {"views": "five_crop", "views_num": 3}, "views_num=3 would have no effect with dataset.views=five_crop; legal: null"),
        ("digits", {"views_num": 3}, "views_num=3 would have no effect without views; legal: null, or dataset.views=random_resized_crop"),
        ("digits", {"views_expand": 3}, "views_expand=3 would have no effect without views; legal: null, or"),
        ("digits", {"class_names": "/no/such"}, "class_names=/no/such is no file; legal: a text file with a line NAME words"),
        ("digits", {"classes": "old"}, "classes=old is not legal; legal: all, base, new"),
        ("digits", {"shift": "fog"}, "shift=fog is not legal; legal: noise, blur, contrast or null"),
        ("digits", {"shift_severity": 6}, "shift_severity=6 is not legal; legal: a whole number from 1 to 5"),
        ("digits", {"val_max_per_class": 0}, "val_max_per_class=0 is not legal"),
        ("digits", {"templates": ["a photo"]}, "templates has 'a photo', which has no one place for the words of a class"),
        ("digits", {"templates": ["{}", "{} {}"]}, "templates has '{} {}', which has no one place"),
        ("digits", {"templates": ["{} {name}"]}, "templates has '{} {name}', which has no one place"),
        ("trec_lt", {"views": "five_crop"}, "views=five_crop is not a key of dataset; legal: "),
        ("digits", {"std": [0, 1, 1]}, "std=[0, 1, 1] is not legal; legal: a list of a number above 0"),
        ("digits", {"mean": [0, 0, 0], "standardise": True}, "mean=[0, 0, 0], dataset.std=None have no effect"),
        ("digits", {"imbalance": 0.5}, "imbalance=0.5 is not legal; legal: a number from 1 to 1000000 or null"),
        ("digits", {"group_counts_imbalance": 0.5}, "group_counts_imbalance=0.5 is not legal"),
        ("digits", {"val_fraction": 1}, "val_fraction=1 is not legal; legal: a number from 0 to below 1 or null"),
        ("digits", {"groups": {}}, "groups={} is no way to make groups"),
        ("digits", {"groups": {"head": 3}}, "groups.head=3 is no list"),
        ("digits", {"groups": {"head": [0], "many_above": 3}}, "groups.head=[0], dataset.groups.many_above=3 is no way to make groups"),
        ("digits", {"groups": {"many_above": 3, "few_below": 9}}, "groups.few_below=9 reaches into head"),
        ("digits", {"groups": {"many_above": "x", "few_below": 9}}, "groups.many_above=x is no count"),
        ("digits", {"groups": {"head": [0]}, "group_counts_imbalance": 2}, "group_counts_imbalance=2 would have no"),
        ("cifar100", {"source.val_split": "val", "val_fraction": 0.1}, "val_fraction=0.1 but the data set has its own"),
        ("text_folder", {}, "path=null names no file; legal: "),
        ("text_folder", {"path": "/no/such"}, "path=/no/such is neither a file nor a folder; legal: "),
        ("text_hub", {}, "path=null names no data set; legal: "),
        ("trec_lt", {}, "path=null and the set text/trec was not found"),
        ("clinc150_lt", {"path": "owner/name", "val_fraction": 0.1}, "val_fraction=0.1 but the data set has its own"),
        ("sst2", {"path": "owner/name", "max_length": 3}, "max_length=3 is not legal; legal: a whole number from 4 to"),
    ],
)  # fmt: skip
def test_refused(
    change: Change,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    values: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)
    config = change({f"dataset.{key}": value for key, value in values.items()}, dataset=dataset)
    assert refused(config).startswith(f"dataset.{words}")


def test_best_of_nothing(change: Change, refused: Refused) -> None:
    best = {"fit.select": "best"}
    assert refused(change({**best, "dataset.val_fraction": 0})).startswith("fit.select=best needs items")
    for fraction in (None, 0.1):
        resolve(change({**best, "dataset.val_fraction": fraction}))
    resolve(
        change({**best, "dataset.val_fraction": 0, "dataset.source.val_split": "val"}, dataset="cifar100")
    )
    listed = {**best, "dataset.path": "/", "dataset.val_fraction": 0}
    resolve(change(listed, dataset="imagenet_lt"))
    assert refused(change(listed, dataset="places_lt")).startswith("fit.select=best needs items")


def test_legal(change: Change, tmp_path: Path) -> None:
    resolve(change({"dataset.path": str(tmp_path)}, dataset="image_folder"))
    resolve(change({"dataset.path": "owner/name"}, dataset="hub"))
    resolve(change({"dataset.imbalance": 1, "dataset.val_fraction": 0}))
