"""What adaptation costs of what the backbone knew: a linear probe of other classes, before and after."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.reads import check_reads
from peftlab.dataset.split import Split
from peftlab.dataset.suspect.probe import probe
from peftlab.model.load import Trained
from peftlab.option import Choice
from peftlab.task.rows import item_rows

BATCH_SIZE = 250
Reader = Callable[[dict[str, Tensor]], Tensor]


class Forgot(NamedTuple):
    """Accuracy on the test items of the source, mean over its classes, from 0 to 1.

    before: the probe of the frozen features. after: the same probe on the adapted ones, so what moved counts as lost. refitted: a
    probe of the adapted features, so what is lost can no longer be read off by any line.
    """

    before: float
    after: float
    refitted: float


class _Read(NamedTuple):
    train: Float[Tensor, "n d"]
    test: Float[Tensor, "m d"]


class Forgetting:
    """`source` is a data set of classes that the backbone knew. Frozen features are computed once for runs on the same backbone."""

    def __init__(self, source: Choice) -> None:
        self._source = source
        self._known: dict[tuple[str, ...], _Read] = {}

    @torch.no_grad()
    def of(self, trained: Trained) -> Forgot:
        """One finished run, in fp32; on a GPU if there is one.

        Raises:
            UserError: for data that cannot be had, or that the run's backbone does not read.
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = trained.model.to(device).eval()
        backbone = model.network.backbone
        check_reads(self._source, trained.resolved.backbone, read=backbone.input_spec.noun)
        dataset: Dataset = self._source(backbone.input_spec, 0)
        train, test = dataset.train, dataset.open_test()
        key = (backbone.hash, dataset.index_hash, dataset.eval_transform.text, test.index_hash())
        if key not in self._known:
            self._known[key] = _Read(
                *(_features(backbone.features, dataset, split, device) for split in (train, test))
            )
        frozen = self._known[key]

        def adapted(inputs: dict[str, Tensor]) -> Tensor:
            return model.features(**inputs)

        own = _Read(*(_features(adapted, dataset, split, device) for split in (train, test)))
        labels, targets = (torch.as_tensor(split.labels) for split in (train, test))
        num_classes = len(dataset.class_names)
        with torch.enable_grad():
            before, after = (probe(read.train, labels, num_classes) for read in (frozen, own))
        said = before(frozen.test), before(own.test), after(own.test)
        return Forgot(*(_accuracy(logits.argmax(-1), targets, num_classes) for logits in said))


def _features(of: Reader, dataset: Dataset, split: Split, device: torch.device) -> Float[Tensor, "n d"]:
    """Of all items of a split, in its order."""
    batches = EvalBatches(split, dataset.eval_transform, batch_size=BATCH_SIZE, num_workers=0)
    found = ((of(batch.to(device).inputs), len(batch.rows)) for batch in batches)
    # of two towers the vectors of images alone
    return torch.cat([item_rows(one, num).float().cpu() for one, num in found])


def _accuracy(said: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], num_classes: int) -> float:
    """Mean over the classes that have an item."""
    total = torch.bincount(labels, minlength=num_classes).double()
    right = torch.bincount(labels[said == labels], minlength=num_classes).double()
    return float((right / total)[total > 0].mean())
