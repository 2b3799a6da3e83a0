"""task=generate: answers to questions, by a network that writes texts. Its head is its own frozen output embedding."""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.dataset.answers import Answers
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.split import Split
from peftlab.dataset.text.tokens import Tokens
from peftlab.errors import UserError
from peftlab.evaluate.likelihood import token_scores
from peftlab.evaluate.said import VALUE, Said
from peftlab.inputs.batch import IGNORED, Batch
from peftlab.inputs.text import ANSWERS, few_at_once
from peftlab.loss.cross_entropy import Loss
from peftlab.option import Choice, PositiveInt
from peftlab.task.data_line import data_line
from peftlab.task.table import summary
from peftlab.task.task import Batches, Context, Forward, Outputs, Read, Summary, Table
from peftlab.task.written import words_of, written

NUM_COUNTED = 3  # columns of an item before the tokens that were written: -log p, tokens, tokens chosen


class Generate:
    """Teacher forcing on the answers alone: the network reads question and answer, and gives each token of the answer out of those
    before it. Classes are kinds of questions.

    `decode` says when answers are written, too, token by token, at most `max_new_tokens` each: never, at the test, or always.
    """

    named: ClassVar[None] = None
    primary: str = "log_likelihood"

    def __init__(
        self,
        dataset: Dataset,
        head: Choice,
        loss: Choice,
        *,
        decode: Literal["test", "never", "always"],
        max_new_tokens: PositiveInt,
    ) -> None:
        self.dataset, self._head, self._loss = dataset, head, loss
        self._decode, self._max_new = decode, max_new_tokens

    @property
    def compared(self) -> tuple[str, ...]:
        """The headline."""
        return self.headline

    @property
    def headline(self) -> tuple[str, ...]:
        """What is right where answers are written, and how likely they are."""
        if self._decode == "never":
            return ("token_acc", self.primary)
        if self._answers.scored_by == "text":
            return ("bleu", "rouge_l", self.primary)
        value = (f"{VALUE}mean_acc",) if self._answers.scored_by == "equation" else ()
        return ("mean_acc", *value, self.primary, "head_acc", "medium_acc", "tail_acc")

    @property
    def _answers(self) -> Answers:
        assert self.dataset.answers is not None
        return self.dataset.answers

    @property
    def num_classes(self) -> int:
        """Kinds of questions."""
        return len(self.dataset.class_names)

    def wants_start(self) -> None:
        """The head is given."""

    def has_start(self) -> bool:
        """The frozen network answers, too."""
        return True

    def start(self, features: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Nothing is asked of the training items."""
        raise NotImplementedError("the head is the output embedding of the network")

    def head(self, backbone: Read, start: Tensor | None, rng: torch.Generator) -> nn.Module:
        """The output embedding.

        Raises:
            UserError: if the backbone has none.
        """
        if backbone.unembedding is None:
            raise UserError(
                "backbone.name: the file of weights has no output embedding, which task=generate writes with; legal: that of a model"
                " with its head"
            )
        head: nn.Module = self._head(backbone.num_features, self.num_classes, backbone.unembedding, rng)
        return head

    def frozen_head(self, head: nn.Module) -> nn.Module:
        """As it starts."""
        return head

    def loss(self, targets: np.ndarray, device: torch.device) -> Loss:
        """The mean over the tokens of all answers."""
        own: Loss = self._loss(
            torch.bincount(torch.as_tensor(targets), minlength=self.num_classes).to(device)
        )

        def loss(scores: Float[Tensor, "t v"], targets: Tensor) -> Tensor:
            return own(scores, targets[targets != IGNORED])

        return loss

    def weight(self, batch: Batch) -> int:
        """The tokens of its answers."""
        return int((batch.targets != IGNORED).sum())

    def outputs(self, forward: Forward, *, is_test: bool) -> Outputs:
        """Of each item -log p of its answer, the number of its tokens and of those that are the most likely ones, and, where answers
        are written, their tokens."""
        writes = self._decode == "always" or (is_test and self._decode == "test")
        return partial(self._said, forward, writes)

    def _said(self, forward: Forward, writes: bool, inputs: dict[str, Tensor]) -> Float[Tensor, "b k"]:
        rows, found = zip(
            *((rows, _likelihood(forward, few)) for rows, few in few_at_once(inputs)), strict=True
        )
        counted = torch.cat(found)[torch.cat(rows).argsort()]
        if not writes:
            return counted
        said = written(forward, self._answers, self._max_new, inputs)
        return torch.cat([counted, said.to(counted)], dim=1)

    def evaluate(self, outputs: Outputs, batches: Batches, device: torch.device, context: Context) -> Said:
        """What was said to each question of a split."""
        return self._counted(batches, [outputs], device, context)[0]

    def compare(
        self,
        outputs: Outputs,
        others: Outputs,
        batches: Batches,
        device: torch.device,
        context: Context,
    ) -> tuple[Said, Said, dict[str, float]]:
        """What two said, and the difference of their metrics, paired by item."""
        own, other = self._counted(batches, [outputs, others], device, context)
        found = own.gains(other, self.dataset.groups, self.num_classes)
        wanted = {f"{name}{end}" for name in self.headline for end in ("", "_low", "_high")}
        return own, other, {name: value for name, value in found.items() if name in wanted}

    @torch.no_grad()
    def _counted(
        self, batches: Batches, each: list[Outputs], device: torch.device, context: Context
    ) -> list[Said]:
        split = batches.split
        rows: list[list[Tensor]] = [[] for _ in each]
        for batch in batches:
            inputs = batch.to(device).inputs
            for own, outputs in zip(rows, each, strict=True):
                with context():
                    own.append(outputs(inputs).float().cpu())
        return [self._of_rows(torch.cat(own), split) for own in rows]

    def _of_rows(self, rows: Float[Tensor, "n k"], split: Split) -> Said:
        nll, num_tokens, num_chosen = rows[:, :NUM_COUNTED].double().unbind(1)
        assert isinstance(split.items, Tokens)
        pairs = split.items.texts(split.rows)
        number: dict[str, int] = {}
        asked = torch.tensor([number.setdefault(question, len(number)) for question, _ in pairs])
        said = Said(torch.from_numpy(split.labels), nll, num_tokens.long(), num_chosen.long(), asked.long())
        ids = rows[:, NUM_COUNTED:].long()
        if ids.shape[1]:
            said.score(words_of(ids, self._answers), pairs, self._answers.scored_by)
        return said

    def metrics(self, counted: Said) -> dict[str, float]:
        """Likelihoods, and scores of what was written, of all and of head, medium and tail kinds."""
        return counted.metrics(self.dataset.groups, self.num_classes)

    def tables(self, counted: Said) -> dict[str, Table]:
        """`per_class`: of each kind its group, its training, validation and test items, its metrics."""
        data = self.dataset
        group = {index: name for name, classes in data.groups.items() for index in classes}
        val = [0] * self.num_classes if data.val is None else data.val.counts(self.num_classes)
        total, found = counted.total(self.num_classes), counted.per_class(self.num_classes)
        rows: Table = [["class", "group", "train_num", "val_num", "test_num", *found]]
        for index, name in enumerate(data.class_names):
            num = (int(data.counts[index]), int(val[index]), int(total[index]))
            values = [None if math.isnan(own[index]) else own[index] for own in found.values()]
            rows.append([name, group.get(index, ""), *num, *values])
        return {"per_class": rows}

    def answers(self, counted: Said, split: Split) -> Table:
        """Of each item its class, its answer's -log p and tokens, and, where it was written, what was said and whether it is right."""
        names = self.dataset.class_names
        right = {"right": counted.right.get(""), "value_right": counted.right.get(VALUE)}
        columns: dict[str, list[Any]] = {
            "item": split.rows.tolist(),
            "class": [names[label] for label in counted.classes.tolist()],
            **{name: own.int().tolist() for name, own in right.items() if own is not None},
            **({} if counted.rouge is None else {"rouge_l": (100 * counted.rouge).tolist()}),
            "nll": counted.nll.tolist(),
            "tokens": counted.num_tokens.tolist(),
            **({} if counted.texts is None else {"said": counted.texts}),
        }
        return [list(columns), *map(list, zip(*columns.values(), strict=True))]

    def summary(self, metrics: dict[str, float | None]) -> Summary:
        """The headline with intervals, beside the frozen network's."""
        known = {key: value for key, value in metrics.items() if value is not None}
        line = f"nll {known['nll']:.3f} a token, {known['answer_nll']:.2f} an answer;  token_acc {100 * known['token_acc']:.1f}"
        return Summary(summary(self.headline, known), line)

    def card(self) -> dict[str, Any]:
        """The kinds of questions; outputs are tokens of the network."""
        return {"class_names": self.dataset.class_names}

    def data_line(self, num_train: int) -> str:
        """Items, kinds and groups."""
        return data_line(self.dataset, num_train, "kinds")


def _likelihood(forward: Forward, inputs: dict[str, Tensor]) -> Float[Tensor, "b 3"]:
    """Of each item -log p of its answer, the number of its tokens and of those that are the most likely ones."""
    answers, ids = inputs[ANSWERS].bool(), inputs["input_ids"]
    scores = token_scores(forward.head, forward.features(inputs), ids[answers])
    sums = scores.new_zeros(len(ids), 2).index_add_(0, answers.nonzero()[:, 0], scores)
    return torch.stack([sums[:, 0], answers.sum(1).to(sums), sums[:, 1]], dim=1)
