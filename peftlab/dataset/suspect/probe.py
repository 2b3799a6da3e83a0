"""What a linear classifier says of items that it was not fitted on."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from peftlab.stream import generator

WEIGHT_DECAY = 1e-3
STEPS = 200


def out_of_fold(
    features: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], num_classes: int, *, folds: int
) -> Float[Tensor, "n c"]:
    """Class probabilities of each item by a logistic regression on the items of the other folds, which are stratified.

    It minimises mean CE(W x + b) + WEIGHT_DECAY / 2 |W|^2 on standardised features, in float64, from zero.
    """
    fold = _folds(labels, folds)
    result = torch.zeros(len(labels), num_classes, dtype=torch.float64)
    for number in range(folds):
        own = fold == number
        result[own] = probe(features[~own], labels[~own], num_classes)(features[own]).softmax(1)
    return result


def probe(
    features: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], num_classes: int
) -> Callable[[Float[Tensor, "m d"]], Float[Tensor, "m c"]]:
    """From features to logits: the regression on these items, with their mean and scale."""
    known = features.double()
    mean, scale = known.mean(0), known.std(0, correction=0).clamp_min(1e-8)
    weight, bias = fitted((known - mean) / scale, labels, num_classes)
    return lambda new: (new.double() - mean) / scale @ weight.T + bias


def fitted(
    x: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], num_classes: int
) -> tuple[Float[Tensor, "c d"], Float[Tensor, " c"]]:
    """W and b of the regression."""
    weight = torch.zeros(num_classes, x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, labels)
        loss = loss + WEIGHT_DECAY / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()


def _folds(labels: Int64[Tensor, " n"], folds: int) -> Int64[Tensor, " n"]:
    """The fold of each item: those of a class are dealt out in turn, in an order that is drawn."""
    order = torch.randperm(len(labels), generator=generator(0, "folds"))
    order = order[labels[order].argsort(stable=True)]
    result = torch.empty_like(labels)
    result[order] = torch.arange(len(labels)) % folds
    return result
