"""What was said is scored by hand-made answers whose scores can be said beforehand."""

from math import isnan

import pytest
import torch

from peftlab.evaluate.metrics import Counts, group_metrics
from peftlab.evaluate.paired import Paired, gains
from peftlab.evaluate.said import Said

GROUPS = {"head": [0], "medium": [], "tail": [1]}
PAIRS = [
    ("1 and 2?", "1 + 2 = 3. The answer is 3."),
    ("1 and 4?", "1 + 4 = 5. The answer is 5."),
    ("2 and 2?", "2 + 2 = 4. The answer is 4."),
    ("9 and 2?", "9 + 2 = 11. The answer is 11."),
]
TEXTS = [
    "1 + 2 = 4. The answer is 3.",  # both right
    "1 + 4 = 5. The answer is 6.",  # the equation alone
    "2 + 3 = 5. The answer is 4.",  # the number alone
    "no idea",
]


def said(
    classes=(0, 0, 0, 1), nll=(1.0, 2.0, 3.0, 10.0), tokens=(1, 4, 5, 10), chosen=(1, 2, 5, 0), asked=None
):
    return Said(
        torch.tensor(classes),
        torch.tensor(nll, dtype=torch.float64),
        torch.tensor(tokens),
        torch.tensor(chosen),
        torch.arange(len(classes)) if asked is None else torch.tensor(asked),
    )


def scored(by, texts=TEXTS, pairs=PAIRS, **keys):
    found = said(**keys)
    found.score(list(texts), pairs, by)
    return found


def test_likelihoods_are_means_over_tokens_and_over_answers():
    found = said().metrics(GROUPS, 2)
    assert found["nll"] == -found["log_likelihood"] == pytest.approx(16 / 20)
    assert found["answer_nll"] == pytest.approx(16 / 4)
    assert found["token_acc"] == pytest.approx(8 / 20)
    assert (found["head_nll"], found["tail_nll"]) == pytest.approx((6 / 10, 1.0))
    assert isnan(found["medium_nll"])
    assert not any(name.endswith("mean_acc") or name in ("bleu", "rouge_l") for name in found)


def test_right_by_the_number_and_by_the_equation():
    found = scored("equation")
    assert found.right[""].tolist() == [True, False, True, False]
    assert found.right["value_"].tolist() == [True, True, False, False]
    assert scored("number").right.keys() == {""}


def test_accuracies_are_those_of_classification():
    """A class is a kind of question, and an item is right or wrong."""
    found = scored("equation").metrics(GROUPS, 2)
    counts = Counts(*(torch.tensor(own) for own in ([2, 0], [2, 0], [3, 1])))
    wanted = group_metrics(counts, GROUPS)
    for name in (
        "mean_acc",
        "mean_acc_low",
        "mean_acc_high",
        "mean_num",
        "head_acc",
        "medium_acc",
        "tail_acc",
    ):
        assert found[name] == pytest.approx(wanted[name], nan_ok=True)
    assert found["value_mean_acc"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["value_head_acc"] == pytest.approx(2 / 3)


def test_words_are_compared_with_all_answers_to_a_question():
    pairs = [("a", "the cat sat on the mat"), ("b", "a dog ran home again"), ("a", "a cat lay on the rug")]
    texts = ["a cat lay on the rug", "a dog ran home again", "a cat lay on the rug"]
    found = scored("text", texts, pairs, classes=(0, 1, 0), nll=(1.0,) * 3, tokens=(1,) * 3, chosen=(0,) * 3)
    assert found.rouge is not None
    assert found.rouge.tolist() == [1.0, 1.0, 1.0]
    metrics = found.metrics(GROUPS, 2)
    assert metrics["bleu"] == pytest.approx(100)
    assert metrics["rouge_l"] == pytest.approx(100)
    worse = scored(
        "text",
        ["a cat", "nothing", "a cat"],
        pairs,
        classes=(0, 1, 0),
        nll=(1.0,) * 3,
        tokens=(1,) * 3,
        chosen=(0,) * 3,
    )
    assert worse.metrics(GROUPS, 2)["bleu"] < 20
    gain = found.gains(worse, GROUPS, 2)
    assert gain["bleu"] == pytest.approx(100 - worse.metrics(GROUPS, 2)["bleu"])
    assert gain["rouge_l"] > 30


def test_of_each_kind():
    found = scored("equation", classes=(0, 0, 0, 2)).per_class(3)
    assert found["acc"] == pytest.approx([2 / 3, float("nan"), 0], nan_ok=True)
    assert found["value_acc"][0] == pytest.approx(2 / 3)
    assert found["nll"] == pytest.approx([0.6, float("nan"), 1.0], nan_ok=True)


def test_gains_are_paired_by_item():
    own, other = (
        scored("number"),
        scored("number", ["3", "no", "no", "The answer is 11"], nll=(2.0, 2.0, 4.0, 9.0)),
    )
    found = own.gains(other, GROUPS, 2)
    assert found["log_likelihood"] == pytest.approx((1 + 0 + 1 - 1) / 20)
    assert found["log_likelihood_low"] < found["log_likelihood"] < found["log_likelihood_high"]
    counts = [Counts(torch.tensor(c), torch.tensor(c), torch.tensor([3, 1])) for c in ([2, 0], [1, 1])]
    wanted = gains(Paired(*counts, torch.tensor([1, 0])), GROUPS)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, nan_ok=True)


def test_several_answers_to_a_question_are_one_draw():
    """Each question twice: the numbers are the same, and so are the intervals, as if each had been asked once with both."""
    twice = said((0, 1) * 4, (1.0, 2.0, 3.0, 5.0) * 2, (2, 4, 5, 9) * 2, (1, 0, 2, 3) * 2, (0, 1, 2, 3) * 2)
    once = said((0, 1) * 2, (2.0, 4.0, 6.0, 10.0), (4, 8, 10, 18), (2, 0, 4, 6))
    found, wanted = (one.metrics(GROUPS, 2) for one in (twice, once))
    for name in ("log_likelihood", "token_acc"):
        for end in ("", "_low", "_high"):
            assert found[f"{name}{end}"] == pytest.approx(wanted[f"{name}{end}"])
    assert found["answer_nll"] == pytest.approx(wanted["answer_nll"] / 2)
