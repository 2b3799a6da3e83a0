"""What runs share: the frozen backbone, the data, and what heads start from. Made once per process and key."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.choice import files_of
from peftlab.build.kept import kept, load, save
from peftlab.config.device import NO_GPU
from peftlab.config.resolved import Resolved
from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.items import Transform
from peftlab.dataset.overlap import Overlap, overlap, parts_of
from peftlab.dataset.reads import check_reads
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.task.task import Outputs, Task

VAL_FRACTION = 0.1  # cut from train for fit.select=best where the dataset has no validation split
KEPT = {
    "backbone": 2,
    "features": 1,
    "start": 16,
    "probe": 16,
    "overlap": 4,
    "frozen": 4,
    "vectors": 4,
}  # how many of each stay in memory
T = TypeVar("T")

_shared: dict[str, OrderedDict[Hashable, Any]] = {kind: OrderedDict() for kind in KEPT}


def shared(kind: str, key: Hashable, build: Callable[[], T]) -> T:
    """The process's one value of this key; those that were not asked for the longest go.

    A cache and nothing else: a value is a function of its key, and nobody changes it (a list of batches grows).
    """
    own = _shared[kind]
    if key not in own:
        own[key] = build()
    own.move_to_end(key)
    while len(own) > KEPT[kind]:
        own.popitem(last=False)
    value: T = own[key]
    return value


class Probe(NamedTuple):
    """A few training items, and their features in the frozen backbone."""

    inputs: dict[str, Tensor]
    targets: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False)
class Trunk:
    """The backbone is on `device` and in eval mode, and no run changes anything of it."""

    backbone: Backbone
    dataset: Dataset
    overlap: Overlap
    device: torch.device
    eval_batch_size: int

    def start(self, task: Task) -> Tensor:
        """What the task's head starts from, out of the frozen features of the training items; once on a machine.

        Raises:
            UserError: if the items do not give it.
        """
        key = (type(task).__name__, task.wants_start(), self.eval_batch_size, *self._items)

        def build() -> Tensor:
            found = shared("features", key[2:], lambda: list(self.features(self.dataset.train)))
            return task.start(iter(found))

        if not self._is_told(self.dataset.train):
            return shared("start", key, build)
        return shared("start", key, lambda: kept("start", key, self.device, build))

    @property
    def _items(self) -> tuple[str, ...]:
        """What the frozen features of the training items depend on."""
        data = self.dataset
        texts = self.backbone.texts
        read = self.backbone.hash, *(() if texts is None else (texts.hash,))
        return *read, data.index_hash, data.eval_transform.text, str(self.device)

    def _is_told(self, split: Split) -> bool:
        """Whether the hashes tell all that its frozen outputs depend on, so that another process may use them."""
        is_known = type(self.backbone.model).__module__.startswith(("timm.", "transformers."))
        return is_known and len(self.backbone.hash) == 64 and bool(getattr(split.items, "is_hashed", False))

    def features(self, split: Split) -> Iterator[tuple[Tensor, Tensor]]:
        """Features of the frozen backbone and labels of all items of a split, in its order, by batches."""
        for batch in self._batches(split, self.dataset.eval_transform, by_length=False):
            with torch.no_grad():
                features = self.backbone.features(batch.to(self.device).inputs)
            yield features.cpu(), batch.targets

    def batches(self, split: Split) -> EvalBatches:
        """All items of a split as they are evaluated; of texts those of like length together."""
        return self._batches(split, self.dataset.tested_transform, by_length=True)

    def _batches(self, split: Split, transform: Transform, *, by_length: bool) -> EvalBatches:
        return EvalBatches(
            split,
            transform,
            batch_size=self.eval_batch_size,
            num_workers=self.dataset.num_workers,
            by_length=by_length,
        )

    def remembered(self, outputs: Outputs, split: Split, how: Hashable) -> Outputs:
        """`outputs` of the batches of a split in their order, computed once on a machine; `how` is all else that they depend on."""
        key = (
            split.index_hash(),
            how,
            self.dataset.tested_transform.text,
            self.eval_batch_size,
            *self._items,
        )
        known: list[Tensor] = shared("frozen", key, lambda: self._kept_outputs(split, key))
        place, number_of_batches = count(), len(self.batches(split))

        def answer(inputs: dict[str, Tensor]) -> Tensor:
            number = next(place)
            if number == len(known):
                known.append(outputs(inputs).cpu())
                if len(known) == number_of_batches and self._is_told(split):
                    save("frozen", key, self.device, torch.cat(known))
            return known[number]

        return answer

    def _kept_outputs(self, split: Split, key: Hashable) -> list[Tensor]:
        found = load("frozen", key, self.device) if self._is_told(split) else None
        return [] if found is None or len(found) != len(split) else list(found.split(self.eval_batch_size))

    def probe(self) -> Probe:
        """The first training items; once per process."""
        return shared("probe", self._items, self._probe)

    def _probe(self) -> Probe:
        data = self.dataset
        part = data.train.subset(np.arange(min(8, len(data.train))))
        batch = EvalBatches(part, data.eval_transform, batch_size=8, num_workers=0).batch(0).to(self.device)
        with torch.no_grad():
            return Probe(batch.inputs, batch.targets, self.backbone.features(batch.inputs))


def has_trunk(resolved: Resolved) -> bool:
    """Whether the weights of a run are in memory: what its data cost was then paid, too."""
    return _key(resolved, _device(resolved.root.device)) in _shared["backbone"]


def open_trunk(resolved: Resolved) -> Trunk:
    """The trunk of a run.

    Raises:
        UserError: for weights or data that cannot be had.
    """
    device = _device(resolved.root.device)
    backbone = shared("backbone", _key(resolved, device), lambda: _backbone(resolved, device))
    dataset = open_dataset(resolved, backbone)
    return Trunk(backbone, dataset, _overlap(dataset), device, resolved.fit.eval_batch_size)


def open_dataset(resolved: Resolved, backbone: Backbone) -> Dataset:
    """The data in the form that the backbone reads, with a validation split where one is needed.

    Raises:
        UserError: for data that cannot be had, or nothing to select on.
    """
    choice, spec = resolved.dataset, backbone.input_spec
    read: str | None = getattr(spec, "noun", None)  # one's own backbone may have a spec of its own
    check_reads(choice, resolved.backbone, read=read)
    dataset: Dataset = choice(spec, resolved.seed)
    check_reads(choice, resolved.backbone, given=dataset.noun, read=read)
    if resolved.fit.select == "best" and dataset.val is None and choice.options["val_fraction"] is None:
        dataset = choice(spec, resolved.seed, val_fraction=VAL_FRACTION)
    if resolved.fit.select == "best" and dataset.val is None:
        raise UserError(
            "fit.select=best needs items to select on; legal: dataset.val_fraction above 0 or null, or fit.select=last"
        )
    return dataset


def _overlap(dataset: Dataset) -> Overlap:
    """What its splits have in common, found once per process.

    Raises:
        UserError: if one is a copy of another, or empty.
    """
    parts = parts_of(dataset)
    sizes = {name: hashlib.sha256(part.sizes.tobytes()).hexdigest() for name, part in parts.items()}
    named = next((part.contents.describe(0) for part in parts.values() if len(part.rows)), "")
    key = (dataset.index_hash, sizes.get("test"), named)
    found = shared("overlap", key, lambda: overlap(dataset, parts))
    found.check()
    return found


def _backbone(resolved: Resolved, device: torch.device) -> Backbone:
    backbone: Backbone = resolved.backbone()
    return replace(backbone, model=backbone.model.to(device))


def _key(resolved: Resolved, device: torch.device) -> str:
    """The device, the options of the backbone, and of files that they name the size and time: one that was replaced is read again."""
    choice = resolved.backbone
    named = [expanded(value) for value in choice.options.values() if isinstance(value, str)]
    files = [*named, *files_of({"_target_": choice.target, **choice.options})]
    stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return json.dumps([str(device), choice.target, dict(choice.options), stamps], sort_keys=True, default=str)


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(NO_GPU)
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
