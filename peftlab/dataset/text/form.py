"""How a question and its answer become one text: by a template, which is a part of what a network learns."""

from typing import NamedTuple

QUESTION, ANSWER = "{question}", "{answer}"


class Form(NamedTuple):
    """`template` has {question} and ends in {answer}. `max_answer`: tokens of an answer, its end among them; null: no bound of
    its own."""

    template: str
    max_answer: int | None

    def prompt(self, question: str) -> str:
        """What stands before an answer. Spaces between the two are the answer's: tokens of words begin with theirs."""
        return self.template.removesuffix(ANSWER).rstrip(" ").replace(QUESTION, question)

    def answer(self, answer: str) -> str:
        """An answer with the spaces before it."""
        before = self.template.removesuffix(ANSWER)
        return before[len(before.rstrip(" ")) :] + answer
