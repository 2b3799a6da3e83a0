"""What every task can do: all that depends on the kind of work, so that the rest says nothing of classes or pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from peftlab.dataset.split import Split
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss

Outputs = Callable[[dict[str, Tensor]], Tensor]
Features = Callable[..., Tensor]
Context = Callable[[], AbstractContextManager[None]]
Table = list[list[Any]]  # a row of column names, then the rows


@runtime_checkable
class Batches(Protocol):
    """All items of a split in order."""

    @property
    def split(self) -> Split:
        """Which."""

    def __iter__(self) -> Iterator[Batch]: ...


@runtime_checkable
class Read(Protocol):
    """What a head has to know of a network: the width of its features, its output embedding, if it writes texts, and what makes a
    score of a cosine, if it compares images with texts."""

    @property
    def num_features(self) -> int:
        """The width."""

    @property
    def unembedding(self) -> nn.Module | None:
        """From features to scores of the vocabulary."""

    @property
    def similarity(self) -> Tensor | None:
        """The scale and the bias that make a score of a cosine, of two towers."""


class Forward(NamedTuple):
    """A network as it is evaluated, frozen or with a cell in it.

    `features(inputs)`; of a text that is read on token by token also `features(inputs, kept)`, where `kept` is one mapping for
    all its forwards. `new_cache` is None where each token has to be read again with all before it. `context` are the trained vectors
    around the names of classes.
    """

    features: Features
    head: nn.Module
    new_cache: Callable[[], Any] | None = None
    context: Sequence[nn.Parameter] = ()


class Summary(NamedTuple):
    """What a person is shown of a result: a table, and a line below it."""

    table: Table
    line: str


@runtime_checkable
class Task(Protocol):
    """A task knows its data. Counts, numbers per item and what they mean are its own: others hand them on.

    named: what classes are called in texts, and the texts around it, where a network compares the two; else None.
    primary: the metric that `fit.select=best` and searches compare, the larger the better. headline: the metrics that
    stand in tables of several runs. compared: those that a run has of the frozen network, too.
    """

    named: tuple[list[str], list[str]] | None
    primary: str
    headline: tuple[str, ...]
    compared: tuple[str, ...]

    def wants_start(self) -> str | None:
        """What the head starts from, made of the frozen features of the training items: two tasks of one kind that say the same
        start from the same. None: from nothing."""

    def has_start(self) -> bool:
        """Whether the frozen network says anything below the head as it starts."""

    def start(self, features: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """What it starts from: a function of batches of features and targets, and of the data of the task, alone."""

    def head(self, backbone: Read, start: Tensor | None, rng: torch.Generator) -> nn.Module:
        """The head at its start."""

    def frozen_head(self, head: nn.Module) -> nn.Module:
        """Of a head at its start, what stands above the frozen network that a run is compared with."""

    def loss(self, targets: np.ndarray, device: torch.device) -> Loss:
        """The mean loss over items, with the prior of a split that has these targets."""

    def weight(self, batch: Batch) -> int:
        """How many items the loss of a batch is a mean over."""

    def outputs(self, forward: Forward, *, is_test: bool) -> Outputs:
        """What is computed of the inputs of a batch in order to be counted, a row for each item."""

    def evaluate(self, outputs: Outputs, batches: Batches, device: torch.device, context: Context) -> Any:
        """What is counted on a split."""

    def compare(
        self,
        outputs: Outputs,
        others: Outputs,
        batches: Batches,
        device: torch.device,
        context: Context,
    ) -> tuple[Any, Any, dict[str, float]]:
        """What is counted of each of two on a split, and the first less the second in the headline metrics, with intervals."""

    def metrics(self, counted: Any) -> dict[str, float]:
        """Numbers by name."""

    def tables(self, counted: Any) -> dict[str, Table]:
        """What would be hundreds of numbers, by name."""

    def answers(self, counted: Any, split: Split) -> Table:
        """What was said of each item of a split: `item` (its row of the source) and whatever tells right from wrong."""

    def summary(self, metrics: dict[str, float | None]) -> Summary:
        """For people; `frozen/NAME` and `gain/NAME` are those of the frozen backbone, if it has any."""

    def card(self) -> dict[str, Any]:
        """What an adapter file has to say of the outputs of its head."""

    def data_line(self, num_train: int) -> str:
        """The data in a sentence."""
