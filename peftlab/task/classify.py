"""task=classify: which class an item belongs to. Heads and losses over classes, accuracies of class groups."""

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.views import mean_over_views
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.evaluate.centres import centre_metrics, centre_names
from peftlab.evaluate.evaluate import evaluate
from peftlab.evaluate.metrics import Counts, group_metrics, per_class
from peftlab.evaluate.paired import compare, gains
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.option import Choice
from peftlab.task.data_line import data_line
from peftlab.task.task import Batches, Context, Forward, Outputs, Read, Summary, Table

GROUPS = ("mean", "head", "medium", "tail")
OTHERS = ("micro_acc", "macro_f1", "worst_acc", "harmonic_acc", "geometric_acc")
WORSE = (
    "worse than the frozen backbone: mostly optim.lr or scaling.value is too large for this method; dataset.val_fraction=0.2"
    " gives validation items to choose them on"
)


class Classify:
    """Classes of a data set, a choice of head over them, and a choice of loss with their prior.

    `centres`: the test reads the features, too, and says how far the classes lie apart.
    """

    named: tuple[list[str], list[str]] | None = None
    primary: ClassVar[str] = "mean_acc"
    headline: ClassVar[tuple[str, ...]] = tuple(f"{name}_acc" for name in GROUPS)

    def __init__(self, dataset: Dataset, head: Choice, loss: Choice, *, centres: bool) -> None:
        self.dataset, self._head, self._loss, self._centres = dataset, head, loss, centres

    @property
    def compared(self) -> tuple[str, ...]:
        """The headline, and where the features lie if that is asked for."""
        return (*self.headline, *(centre_names(self.dataset.groups) if self._centres else ()))

    @property
    def num_classes(self) -> int:
        """Outputs of the head."""
        return len(self.dataset.class_names)

    def wants_start(self) -> str | None:
        """Class means are those of every head; what a head is fitted to depends on the head."""
        init = self._head.options["init"]
        return {"class_mean": "class_mean", "linear_probe": repr(self._head)}.get(init)

    def has_start(self) -> bool:
        """Only what knows the frozen features is a classifier before any training."""
        return self.wants_start() is not None

    def start(
        self, features: Iterable[tuple[Float[Tensor, "b d"], Int64[Tensor, " b"]]]
    ) -> Float[Tensor, "c p"]:
        """The mean feature of each class, or with init=linear_probe what the head that starts from these is fitted to.

        Raises:
            UserError: for a class without an item, and for a fit that does not converge.
        """
        pairs = [(values.double(), labels) for values, labels in features]
        total = torch.zeros(self.num_classes, pairs[0][0].shape[1], dtype=torch.float64)
        for values, labels in pairs:
            total.index_add_(0, labels, values)
        counts = torch.from_numpy(self.dataset.counts).double()
        empty = [self.dataset.class_names[index] for index in (counts == 0).nonzero().flatten().tolist()]
        if empty:
            raise UserError(
                f"head.init={self._head.options['init']} needs an item of every class, and {empty[0]} has none; legal: random"
            )
        means = (total / counts.unsqueeze(-1)).float()
        if self._head.options["init"] == "class_mean":
            return means
        size = means.shape[1], self.num_classes
        head: Any = self._head(*size, means, torch.Generator(), init="class_mean")
        try:
            fitted: Tensor = head.fitted(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))
        except ArithmeticError as error:
            raise UserError(str(error)) from error
        return fitted.float()

    def head(self, backbone: Read, start: Float[Tensor, "c p"] | None, rng: torch.Generator) -> nn.Module:
        """The classifier at its start; `start` is what the method of this name gave, if it starts from that."""
        head: nn.Module = self._head(backbone.num_features, self.num_classes, start, rng)
        return head

    def frozen_head(self, head: nn.Module) -> nn.Module:
        """As it starts."""
        return head

    def loss(self, targets: np.ndarray, device: torch.device) -> Loss:
        """The loss with the class prior of these labels."""
        counts = torch.bincount(torch.as_tensor(targets), minlength=self.num_classes)
        loss: Callable[..., Tensor] = self._loss(counts.to(device))
        return loss

    def weight(self, batch: Batch) -> int:
        """The items of a batch."""
        return len(batch.targets)

    def outputs(self, forward: Forward, *, is_test: bool) -> Outputs:
        """The head's output, and beside it the features that it read, where the test says where they lie; of several views the mean."""

        def logits(inputs: dict[str, Tensor]) -> Tensor:
            features = forward.features(inputs)
            found: Tensor = forward.head(features)
            return torch.cat([found, features], dim=-1) if is_test and self._centres else found

        return lambda inputs: mean_over_views(logits, inputs)

    def evaluate(self, outputs: Outputs, batches: Batches, device: torch.device, context: Context) -> Counts:
        """Right and wrong answers by class."""
        return evaluate(outputs, batches, self.num_classes, device, context)

    def compare(
        self,
        outputs: Outputs,
        others: Outputs,
        batches: Batches,
        device: torch.device,
        context: Context,
    ) -> tuple[Counts, Counts, dict[str, float]]:
        """Right and wrong answers of two by class, and the difference of their accuracies, paired by item."""
        found = compare(outputs, others, batches, self.num_classes, device, context)
        return found.own, found.other, gains(found, self.dataset.groups)

    def metrics(self, counted: Counts) -> dict[str, float]:
        """Accuracies of all classes and of head, medium and tail classes, with intervals, and where their features lie."""
        centres = {} if counted.centres is None else centre_metrics(counted.centres, self.dataset.groups)
        return group_metrics(counted, self.dataset.groups) | centres

    def tables(self, counted: Counts) -> dict[str, Table]:
        """`per_class`: of each class its group, its training, validation and test items, its accuracy."""
        group = {index: name for name, classes in self.dataset.groups.items() for index in classes}
        val = (
            self.dataset.val.counts(self.num_classes)
            if self.dataset.val is not None
            else [0] * self.num_classes
        )
        columns = {"acc": per_class(counted)}
        if counted.centres is not None:
            columns |= {"distance": counted.centres.distance(), "variance": counted.centres.variance()}
        rows: Table = [["class", "group", "train_num", "val_num", "test_num", *columns]]
        for index, values in enumerate(zip(*(column.tolist() for column in columns.values()), strict=True)):
            name, own = self.dataset.class_names[index], group.get(index, "")
            num = (int(self.dataset.counts[index]), int(val[index]), int(counted.total[index]))
            rows.append([name, own, *num, *(None if math.isnan(value) else value for value in values)])
        return {"per_class": rows}

    def answers(self, counted: Counts, split: Split) -> Table:
        """Its class and the predicted one of each item of the split."""
        names = self.dataset.class_names
        pairs = torch.cat(counted.answers, dim=1).T.tolist() if counted.answers else []
        rows: Table = [["item", "class", "predicted"]]
        rows += [
            [item, *map(names.__getitem__, pair)]
            for item, pair in zip(split.rows.tolist(), pairs, strict=True)
        ]
        return rows

    def summary(self, metrics: dict[str, float | None]) -> Summary:
        """Accuracy of all classes and of head, medium and tail, with interval and number of items, beside the frozen backbone's."""
        known = {key: value for key, value in metrics.items() if value is not None}
        beside = "frozen/mean_acc" in known
        columns = [
            "",
            "accuracy %",
            "95 % interval",
            *(["frozen", "gain, paired 95 %"] * beside),
            self.dataset.noun,
        ]
        table: Table = [columns]
        for name in GROUPS:
            value = known[f"{name}_acc"]
            if math.isnan(value):
                table.append([name, "no class", *[""] * (len(columns) - 3), "0"])
                continue
            row = [name, f"{100 * value:.1f}", _interval(known, f"{name}_acc", "{:.1f} - {:.1f}")]
            if beside:
                gain = f"{100 * known[f'gain/{name}_acc']:+.1f} "
                gain += _interval(known, f"gain/{name}_acc", "({:+.1f}, {:+.1f})")
                row += [f"{100 * known[f'frozen/{name}_acc']:.1f}", gain]
            table.append([*row, f"{known[f'{name}_num']:.0f}"])
        line = "  ".join(f"{key} {100 * known[key]:.1f}" for key in OTHERS)
        return Summary(table, f"{line}\n{WORSE}" if known.get("gain/mean_acc_high", 0) < 0 else line)

    def card(self) -> dict[str, Any]:
        """The class names in the order of the outputs."""
        return {"class_names": self.dataset.class_names}

    def data_line(self, num_train: int) -> str:
        """Items, classes and groups."""
        return data_line(self.dataset, num_train, "classes")


def _interval(metrics: dict[str, float], name: str, text: str) -> str:
    return text.format(*(100 * metrics[f"{name}_{end}"] for end in ("low", "high")))
