"""What an answer in words says: its number, the value of its equation; and how near it is to answers that people wrote."""

import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from fractions import Fraction
from typing import Any

from peftlab.evaluate.arithmetic import NUMBER, value_of
from peftlab.inputs.unused import without_unused

SAYS = "answer is"
NEAR = Fraction(1, 1000)  # people round
POWER = r"(?:e\+?\d{1,2})?"  # 1.20156e+06: how SVAMP writes numbers from a million on
SIGNED = re.compile(rf"(?<![\w.)])-\s?(?:{NUMBER.pattern}){POWER}|(?:{NUMBER.pattern}){POWER}")


def number_of(text: str) -> Fraction | None:
    """The first number behind the last `answer is`; where these words are not, the last number. None: there is none."""
    _, says, behind = text.rpartition(SAYS)
    found = SIGNED.findall(behind.replace("$", ""))
    if not found:
        return None
    return Fraction(re.sub(r"[\s,]", "", found[0 if says else -1]))


def equation_value(text: str) -> Fraction | None:
    """The value of what stands before the first `=`; None: that is no arithmetic."""
    before, equals, _ = text.partition("=")
    return value_of(before) if equals else None


def is_near(value: Fraction | None, wanted: Fraction | None) -> bool:
    """Whether they are the same number, but for a thousandth; from a million on, for what six digits do not tell."""
    if value is None or wanted is None:
        return False
    return abs(value - wanted) <= NEAR or (
        abs(wanted) >= 10**6 and f"{float(value):g}" == f"{float(wanted):g}"
    )


def bleu(said: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU of a whole set, 0 to 100: of each text all its references; tokens as in mteval-v13a, by sacrebleu.

    Source: Papineni et al. 2002; Post 2018, arXiv:1804.08771. Differs: from the E2E challenge's own script, whose tokens are others.
    """
    with without_unused():
        from sacrebleu.metrics import BLEU  # type: ignore[import-untyped]
    most = max(map(len, references), default=1)
    streams: list[Any] = [
        [own[place] if place < len(own) else None for own in references] for place in range(most)
    ]
    return float(BLEU().corpus_score(list(said), streams).score)


def rouge_l(said: str, references: Sequence[str]) -> float:
    """The best F1 of the longest common subsequence of words with a reference, 0 to 1; words without endings.

    Source: Lin 2004, by rouge-score.
    """
    # absl, which it imports, closes at some time the stream that it finds in sys.stderr now, but for the process's own
    with without_unused(), redirect_stderr(sys.__stderr__):
        from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return max((float(scorer.score(own, said)["rougeL"].fmeasure) for own in references), default=0.0)
