from fractions import Fraction

import pytest

from peftlab.evaluate.answer import bleu, equation_value, is_near, number_of, rouge_l


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18 - 10 = 8. The answer is 8.", 8),
        ("The answer is $1,234.50.", Fraction(2469, 2)),
        ("The answer is -3.", -3),
        ("The answer is 2.20906e+07.", 22090600),
        ("The answer is 4. Question: 7 + 7", 4),  # what comes behind is another question
        ("It is 4, no, the answer is 5", 5),
        ("3 and then 16-12=4", 4),  # no such words: the last one, and a minus between two is no sign
        ("The answer is no number", None),
        ("", None),
    ],
)
def test_the_number_of_an_answer(text: str, number: int | Fraction | None) -> None:
    assert number_of(text) == number


def test_the_value_of_its_equation() -> None:
    assert equation_value("(7 + 2) * 3 = 9. The answer is 9.") == 27  # what it says is another matter
    assert equation_value("The answer is 9.") is None
    assert equation_value("She had 3 + 4 = 7") is None


def test_numbers_are_the_same_but_for_rounding() -> None:
    assert is_near(Fraction(1, 3), Fraction("0.333"))
    assert not is_near(Fraction(1000), Fraction(1001))
    assert is_near(Fraction(1201560), Fraction(1201565))
    assert not is_near(Fraction(1201560), Fraction(1201570))
    assert not is_near(None, Fraction(1))
    assert not is_near(Fraction(1), None)


def test_bleu_is_that_of_its_definition() -> None:
    """Two texts, of which one has two references: the n-grams counted by hand."""
    said = ["the cat sat on the mat", "a dog ran"]
    found = bleu(said, [["the cat sat on a mat", "the cat sat on the rug"], ["a dog ran home"]])
    # of 9, 7, 5, 3 n-grams these are in a reference of their text, the first with both references
    p = [9 / 9, 6 / 7, 4 / 5, 2 / 3]
    brevity = 2.718281828459045 ** min(0.0, 1 - 10 / 9)  # 6 + 4 words of the references, 9 said
    expected = 100 * brevity * (p[0] * p[1] * p[2] * p[3]) ** 0.25
    assert found == pytest.approx(expected, abs=1e-6)
    assert bleu(["the cat sat on the mat"], [["the cat sat on the mat"]]) == pytest.approx(100)


def test_rouge_l_takes_the_best_reference() -> None:
    # longest common subsequence with the second: 4 of 4 and of 5 words
    assert rouge_l("a cat sat down", ["nothing like it", "a cat sat right down"]) == pytest.approx(
        2 * 1 * 0.8 / 1.8
    )
    assert rouge_l("a cat", []) == 0.0
