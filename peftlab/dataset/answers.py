"""What is known of questions with answers beside their tokens."""

from typing import Literal, NamedTuple

from peftlab.inputs.text import Writer

ScoredBy = Literal["number", "equation", "text"]


class Answers(NamedTuple):
    """`tokenizer` makes words of tokens. Question and answer have at most `max_length` of these. `scored_by`: an answer is right by
    its number, and by the value of its equation, too; or it is as near as its words are to those of people (BLEU, ROUGE-L)."""

    tokenizer: Writer
    max_length: int
    scored_by: ScoredBy
