"""The kind of a question is what a rule counts, in the texts that people wrote."""

import pytest

from peftlab.dataset.text.kinds import kind_names, kinds_of
from peftlab.dataset.text.texts import Columns


@pytest.mark.parametrize(
    ("kind", "question", "answer", "name"),
    [
        (None, "any", "thing", "all"),
        ("operations", "", "1.0 = 1. The answer is 1.", "at most 1 operation"),
        ("operations", "", "7 - 2 = 5. The answer is 5.", "at most 1 operation"),
        ("operations", "", "(7 - 2) * 3 = 15. The answer is -15.", "2 operations"),
        ("operations", "", "7 - (2 * (3 + 4)) / 2 = 0", "3 or more operations"),
        ("steps", "", "a\nb\nThe answer is 2.", "at most 2 steps"),
        ("steps", "", "a\nb\nc\nThe answer is 2.\n", "3 steps"),
        ("steps", "", "\n".join("abcdefgh"), "6 or more steps"),
        ("attributes", "name[x y], area[z]", "", "at most 3 attributes"),
        ("attributes", "a[x], b[y], c[z], d[z]", "", "4 attributes"),
        ("attributes", "".join(f"{name}[x] " for name in "abcdefghi"), "", "8 or more attributes"),
    ],
)
def test_kinds(kind, question, answer, name):
    (label,) = kinds_of(kind, Columns([question], None, [answer])).tolist()
    assert kind_names(kind)[label] == name


def test_the_names_are_in_order():
    assert kind_names("operations") == ["at most 1 operation", "2 operations", "3 or more operations"]
    assert kind_names(None) == ["all"]
