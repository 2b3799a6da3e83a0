"""Accuracies of class groups from counts of a fixed size; a class without a test image is NaN and counted."""

from dataclasses import dataclass, field
from math import nan

import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor

from peftlab.errors import UserError
from peftlab.evaluate.centres import Centres
from peftlab.evaluate.proportion import score_interval

GROUPS = ("head", "medium", "tail")
HARMONIC_FLOOR = 1e-5  # the published evaluator counts in per cent and clamps at 0.001 %


@dataclass
class Counts:
    """How many images of each class there were, were predicted, and were predicted rightly.

    answers: class and predicted class of each image, batch by batch, in the order they were counted. centres: of its
    features, where these were read, too.
    """

    correct: Int64[Tensor, " c"]
    predicted: Int64[Tensor, " c"]
    total: Int64[Tensor, " c"]
    answers: list[Int64[Tensor, "2 _"]] = field(default_factory=list)
    centres: Centres | None = None

    @classmethod
    def zeros(cls, num_classes: int) -> "Counts":
        """Counts before the first image."""
        correct, predicted, total = (torch.zeros(num_classes, dtype=torch.int64) for _ in range(3))
        return cls(correct, predicted, total)

    def read(self, outputs: Float[Tensor, "b _"], label: Int[Tensor, " b"]) -> Int64[Tensor, " b"]:
        """Add one batch of logits, whose features may stand in further columns; the predicted classes."""
        num_classes = len(self.total)
        pred = outputs[:, :num_classes].argmax(-1).cpu()
        self.update(pred, label)
        if outputs.shape[1] > num_classes:
            features = outputs[:, num_classes:]
            self.centres = self.centres or Centres.zeros(num_classes, features.shape[1])
            self.centres.update(features, label)
        return pred

    def update(self, pred: Int[Tensor, " b"], label: Int[Tensor, " b"]) -> None:
        """Add one batch, in place.

        Raises: ValueError for a class outside 0..c-1.
        """
        pred, label = pred.to(self.total.device), label.to(self.total.device)
        correct, predicted, total = (self._count(x) for x in (label[pred == label], pred, label))
        self.correct += correct
        self.predicted += predicted
        self.total += total
        self.answers.append(torch.stack([label, pred]).long().cpu())

    def _count(self, label: Int[Tensor, " n"]) -> Int64[Tensor, " c"]:
        num_classes = len(self.total)
        low, high = (int(label.min()), int(label.max())) if label.numel() else (0, 0)
        if low < 0 or high >= num_classes:
            raise ValueError(f"Class {low if low < 0 else high} is outside 0..{num_classes - 1}.")
        return torch.bincount(label, minlength=num_classes)


def per_class(counts: Counts) -> Float64[Tensor, " c"]:
    """Accuracy of each class (its recall); NaN where the class has no image."""
    return counts.correct.double() / counts.total.double()  # 0 / 0 is NaN


def group_metrics(counts: Counts, groups: dict[str, list[int]]) -> dict[str, float]:
    """Every accuracy of one evaluation, in fractions; means leave out absent classes, which are counted.

        mean_acc = mean_c p_c,  p_c = correct_c / total_c      micro_acc = sum correct / sum total
        macro_f1 = mean_c 2 correct_c / (predicted_c + total_c)
        harmonic_acc = 1 / mean_c (1 / max(p_c, 1e-5))          geometric_acc = (prod_c p_c)^(1/K)

    `head_acc`, `medium_acc`, `tail_acc` (and any further group) are means of p_c over the group; they and
    `mean_acc` have `tail_acc_low`, `tail_acc_high` (95 % score interval), `tail_num` (images). An empty group is NaN.
    `num_absent` is the number of classes without an image.

    Raises: UserError for a group that names a class twice or one that does not exist.
    Source: utils/evaluator.py of github.com/shijxcs/LIFT and github.com/doem97/metalora (groups, F1 over the
    labels that occur, p_c clamped at 0.001 % in the harmonic mean). Differs: fractions, not per cent; a group
    holds classes, not positions among the classes present.
    """
    _check(groups, len(counts.total))
    accuracy, present = per_class(counts), counts.total > 0
    p = accuracy[present]
    f1 = 2 * counts.correct.double() / (counts.predicted + counts.total).double()
    metric = class_mean("mean", counts, list(range(len(counts.total))))
    metric["micro_acc"] = _mean(counts.correct.sum() / counts.total.sum().double())
    metric["macro_f1"] = _mean(f1[present])
    metric["worst_acc"] = float(p.min()) if len(p) else nan
    metric["harmonic_acc"] = 1 / _mean(1 / p.clamp_min(HARMONIC_FLOOR))
    metric["geometric_acc"] = float(p.log().mean().exp())  # 0 as soon as one class is never right
    metric["num_absent"] = float((~present).sum())
    for name in dict.fromkeys((*GROUPS, *groups)):
        metric |= class_mean(name, counts, groups.get(name, []))
    return metric


def harmonic_mean(one: float, other: float) -> float:
    """2 a b / (a + b); 0 if one is."""
    return 2 * one * other / (one + other) if one and other else one * other


def _mean(x: Float64[Tensor, "*n"]) -> float:
    return float(x.mean())  # NaN for none


def class_mean(name: str, counts: Counts, classes: list[int]) -> dict[str, float]:
    """Mean of per-class accuracies with its score interval, which knows that each class has its own number of images."""
    own = [index for index in classes if counts.total[index] > 0]
    correct, total = counts.correct[own], counts.total[own]
    low, high = score_interval(correct.numpy(), total.numpy())
    return {
        f"{name}_acc": _mean(correct.double() / total.double()),
        f"{name}_acc_low": low,
        f"{name}_acc_high": high,
        f"{name}_num": float(total.sum()),
    }


def _check(groups: dict[str, list[int]], num_classes: int) -> None:
    for name, classes in groups.items():
        if len(set(classes)) < len(classes):
            raise UserError(f"Group {name}={classes} names a class twice; a class counts once in its group.")
        if wrong := [c for c in classes if not 0 <= c < num_classes]:
            raise UserError(f"Group {name} names the classes {wrong}; legal are 0 to {num_classes - 1}.")
