"""Where a set is looked for, the layout that `datasets` writes, and each sentence for what is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from peftlab.dataset.source import tables as module
from peftlab.dataset.source.hub import hub
from peftlab.dataset.source.source import Source
from peftlab.errors import UserError

KEYS: dict[str, Any] = {
    "hub_id": None,
    "folder": None,
    "config_name": None,
    "train_split": "train",
    "val_split": None,
    "test_split": "test",
    "image_column": "image",
    "label_column": "label",
}
LABELS = {"train": [0, 1, 1, 2], "test": [2, 0]}


def find(path: str | None, **keys: Any) -> Source:
    return hub(path, **(KEYS | keys))


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)


@pytest.fixture
def on_the_hub(picture: Callable[..., np.ndarray]) -> datasets.DatasetDict:
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "emu"])}
    )
    pictures = {"train": [0, 1, 2, 3], "test": [4, 5]}
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"image": [Image.fromarray(picture(row)) for row in rows], "label": LABELS[split]},
                features=features,
            )
            for split, rows in pictures.items()
        }
    )


def test_a_local_copy_is_the_hub_set(
    on_the_hub: datasets.DatasetDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    picture: Callable[..., np.ndarray],
) -> None:
    asked = []
    monkeypatch.setattr(module, "_is_reachable", lambda _: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *names: asked.append(names) or on_the_hub)
    (tmp_path / "data").mkdir()
    for split, rows in on_the_hub.items():
        rows.to_parquet(str(tmp_path / "data" / f"{split}-00000-of-00001.parquet"))
    before = sorted(tmp_path.rglob("*"))
    sources = [find("owner/name", config_name="fine"), find(None, hub_id="other/name"), find(str(tmp_path))]
    assert asked == [("owner/name", "fine"), ("other/name", None)]
    for source in sources:
        assert source.class_names == ["cat", "dog", "emu"]
        assert source.train.labels.tolist() == LABELS["train"]
        test = source.open_test()
        assert test.labels.tolist() == LABELS["test"]
        assert np.array_equal(test.items.take(test.rows)[1].permute(1, 2, 0).numpy(), picture(5))
        assert source.train.index_hash() == sources[0].train.index_hash() != test.index_hash()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_data_folder_comes_before_the_hub_and_path_before_both(
    parquet_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = parquet_folder(LABELS)
    monkeypatch.setenv("PEFTLAB_DATA", str(folder.parent))
    monkeypatch.setattr(module, "_remote", lambda *_args, **_keys: pytest.fail("the hub was asked"))
    assert find(None, hub_id="owner/name", folder=folder.name).train.labels.tolist() == LABELS["train"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no parquet file"):
        find(str(tmp_path / "empty"), folder=folder.name)


def test_a_validation_split_and_a_configuration(parquet_folder: Callable[..., Path]) -> None:
    root = parquet_folder({"train": [0, 1], "dev": [1, 1, 0], "test": [0, 1]})
    source = find(str(root), val_split="dev", config_name="data")
    assert source.val is not None
    assert source.val.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"train_split": "training"}, r"train_split=training is not in the data set; legal: test, train$"),
        ({"test_split": "validation"}, r"test_split=validation is not in the data set; legal: test, train$"),
        ({"val_split": "val"}, r"val_split=val is not in the data set; legal: test, train$"),
        ({"image_column": "img"}, r"image_column=img is not in the data set; legal: image, label$"),
        ({"label_column": "fine"}, r"label_column=fine is not in the data set; legal: image, label$"),
        ({"config_name": "fine"}, r"config_name=fine is not in .*; legal: null, data$"),
    ],
)
def test_wrong_names(parquet_folder: Callable[..., Path], keys: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.source\.{message}"):
        find(str(parquet_folder(LABELS)), **keys)


@pytest.mark.parametrize("path", ["/no/such/folder", "./none", "~/none-here", "a/b/c", "owner/", "none"])
def test_a_path_that_is_neither_folder_nor_id(path: str) -> None:
    with pytest.raises(
        UserError, match=rf"^dataset\.path={path} is not a folder; legal: .* hub id as owner/name"
    ):
        find(path)


def test_no_place_to_look() -> None:
    with pytest.raises(
        UserError, match=r"^dataset\.path=null names no data set; legal: a hub id as owner/name, or"
    ):
        find(None)


def test_a_set_that_is_only_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UserError, match=r"the set aid was not found \(PEFTLAB_DATA is not set; .* PEFTLAB_DATA=PARENT"
    ):
        find(None, folder="aid")
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    with pytest.raises(
        UserError, match=rf"the set aid was not found \(no folder {tmp_path}/aid; .* legal: dataset\.path="
    ):
        find(None, folder="aid")


def test_offline_is_one_sentence_and_leaves_the_library_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    before = datasets.config.HF_HUB_OFFLINE
    with pytest.raises(
        UserError, match=r"^dataset\.path: the hub data set peftlab/none-such could not be loaded \(.+; PEFT"
    ):
        find(None, hub_id="peftlab/none-such", folder="none-such")
    assert before == datasets.config.HF_HUB_OFFLINE


@pytest.mark.data
def test_a_real_set(data_dir: Path) -> None:
    mstar = find(str(data_dir / "mstar10"))
    assert (len(mstar.train), len(mstar.open_test())) == (2746, 2425)
    assert (mstar.class_names[0], mstar.class_names[-1]) == ("2S1", "ZSU_23_4")
    assert mstar.train.items.take(mstar.train.rows[:2]).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("keys", [{"test_split": "train"}, {"val_split": "test"}, {"val_split": "train"}])
def test_a_split_is_used_once(parquet_folder: Callable[..., Path], keys: dict[str, str]) -> None:
    """Nothing that is trained or selected on is tested on."""
    with pytest.raises(UserError, match=r"are the same items; legal: a split of its own for each"):
        find(str(parquet_folder(LABELS)), **keys)


def test_a_label_of_the_test_that_is_in_no_class_is_told_at_the_start(
    parquet_folder: Callable[..., Path],
) -> None:
    source = find(str(parquet_folder({"train": [0, 1], "test": [0, 5]})))
    assert source.test_contents is not None
    with pytest.raises(UserError, match=r"has the label 5 in row 1 of test; legal: one of the 2 classes"):
        source.test_contents()
