"""What a network said to the questions of a split, and how good it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from peftlab.evaluate.answer import bleu, equation_value, is_near, number_of, rouge_l
from peftlab.evaluate.likelihood import Interval, ratio
from peftlab.evaluate.metrics import GROUPS, Counts, class_mean
from peftlab.evaluate.paired import Paired, gains

Groups = Mapping[str, list[int]]
NUMBER, VALUE = (
    "",
    "value_",
)  # before `mean_acc`: right by the number that an answer says, and by the value of its equation


@dataclass
class Said:
    """Item by item, in the order of the split: its class, -log p of its answer, how many tokens that has and how many of them are
    the network's own choice; `asked` has one number for equal questions, which are one draw for an interval. If answers were
    written, `texts`; then `right` by NUMBER and VALUE, or `rouge` and `bleu`."""

    classes: Int64[Tensor, " n"]
    nll: Float[Tensor, " n"]
    num_tokens: Int64[Tensor, " n"]
    num_chosen: Int64[Tensor, " n"]
    asked: Int64[Tensor, " n"]
    texts: list[str] | None = None
    right: dict[str, Bool[Tensor, " n"]] = field(default_factory=dict)
    rouge: Float[Tensor, " n"] | None = None
    bleu: float | None = None

    def score(
        self,
        texts: list[str],
        pairs: Sequence[tuple[str, str]],
        by: Literal["number", "equation", "text"],
    ) -> None:
        """Take the written answers, to be scored beside each question and the answer that people wrote."""
        self.texts = texts
        if by == "text":
            self._score_words(texts, pairs)
            return
        wanted = [number_of(answer) for _, answer in pairs]
        ways = {NUMBER: number_of} | ({VALUE: equation_value} if by == "equation" else {})
        for name, way in ways.items():
            own = [is_near(way(text), number) for text, number in zip(texts, wanted, strict=True)]
            self.right[name] = torch.tensor(own, dtype=torch.bool)

    def _score_words(self, texts: list[str], pairs: Sequence[tuple[str, str]]) -> None:
        """All answers to a question are references of what was said to it, which counts once in BLEU."""
        references: dict[str, list[str]] = {}
        for question, answer in pairs:
            references.setdefault(question, []).append(answer)
        first = {question: text for (question, _), text in reversed(list(zip(pairs, texts, strict=True)))}
        known = {question: rouge_l(first[question], own) for question, own in references.items()}
        self.rouge = torch.tensor([known[question] for question, _ in pairs], dtype=torch.float64)
        self.bleu = bleu([first[question] for question in references], list(references.values()))

    def metrics(self, groups: Groups, num_classes: int) -> dict[str, float]:
        """All numbers. Likelihoods are means over tokens, `answer_nll` over answers; accuracies as in classification, a class being
        a kind of question; BLEU and ROUGE-L from 0 to 100."""
        found = self._ratio(-self.nll, self.num_tokens).named("log_likelihood")
        found |= {"nll": -found["log_likelihood"]}
        found |= self._ratio(self.nll, torch.ones_like(self.nll)).named("answer_nll")
        found |= self._ratio(self.num_chosen.double(), self.num_tokens).named("token_acc")
        for name in dict.fromkeys((*GROUPS, *groups)):
            own = torch.isin(self.classes, torch.tensor(groups.get(name, []), dtype=torch.int64))
            found[f"{name}_nll"] = ratio(self.nll[own], self.num_tokens[own]).value
        every = {"mean": list(range(num_classes)), **{name: groups.get(name, []) for name in GROUPS}}
        for way in self.right:
            counts = self._counts(way, num_classes)
            for name, classes in every.items():
                found |= {f"{way}{key}": value for key, value in class_mean(name, counts, classes).items()}
        if self.rouge is not None and self.bleu is not None:
            found |= {
                "bleu": self.bleu,
                **self._ratio(100 * self.rouge, torch.ones_like(self.rouge)).named("rouge_l"),
            }
        return found

    def per_class(self, num_classes: int) -> dict[str, list[float]]:
        """By metric, of each class; NaN without an item."""
        own = [self.classes == index for index in range(num_classes)]
        found = {"nll": [ratio(self.nll[each], self.num_tokens[each]).value for each in own]}
        names = {NUMBER: "acc", VALUE: "value_acc"}
        found |= {
            names[way]: [float(right[each].double().mean()) for each in own]
            for way, right in self.right.items()
        }
        if self.rouge is not None:
            found["rouge_l"] = [100 * float(self.rouge[each].mean()) for each in own]
        return found

    def total(self, num_classes: int) -> Int64[Tensor, " c"]:
        """Items of each class."""
        return torch.bincount(self.classes, minlength=num_classes)

    def _ratio(self, a: Tensor, b: Tensor) -> Interval:
        """sum a / sum b, with the sums of equal questions as the sample."""
        numbers, place = torch.unique(self.asked, return_inverse=True)
        sums = torch.zeros(2, len(numbers), dtype=torch.float64)
        return ratio(*sums.index_add_(1, place, torch.stack([a.double(), b.double()])))

    def _counts(self, way: str, num_classes: int) -> Counts:
        correct = torch.bincount(self.classes[self.right[way]], minlength=num_classes)
        return Counts(correct, correct, self.total(num_classes))

    def gains(self, other: "Said", groups: Groups, num_classes: int) -> dict[str, float]:
        """own - other of the likelihood and of all scores, with intervals that are paired by item; BLEU, which no item has, has none."""
        found = self._ratio(other.nll - self.nll, self.num_tokens).named("log_likelihood")
        chosen = (self.num_chosen - other.num_chosen).double()
        found |= self._ratio(chosen, self.num_tokens).named("token_acc")
        for way in self.right.keys() & other.right.keys():
            both = torch.bincount(self.classes[self.right[way] & other.right[way]], minlength=num_classes)
            paired = Paired(self._counts(way, num_classes), other._counts(way, num_classes), both)
            found |= {f"{way}{key}": value for key, value in gains(paired, dict(groups)).items()}
        if self.rouge is not None and other.rouge is not None:
            found |= self._ratio(100 * (self.rouge - other.rouge), torch.ones_like(self.rouge)).named(
                "rouge_l"
            )
        if self.bleu is not None and other.bleu is not None:
            found["bleu"] = self.bleu - other.bleu
        return found
