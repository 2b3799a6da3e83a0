"""Answers that a network writes to questions, as task=generate has them."""

from jaxtyping import Int64
from torch import Tensor

from peftlab.dataset.answers import Answers
from peftlab.evaluate.decode import SILENT, Decoder
from peftlab.task.task import Forward


def written(
    forward: Forward, answers: Answers, max_new: int, inputs: dict[str, Tensor]
) -> Int64[Tensor, "b m"]:
    """The tokens of each answer, at most `max_new`, and SILENT behind; what `inputs` hold of an answer is not read."""
    end = answers.tokenizer.end_id
    assert end is not None
    decoder = Decoder(forward.features, forward.head, forward.new_cache, end, max_new, answers.max_length)
    return decoder.greedy(inputs)


def words_of(ids: Int64[Tensor, "n m"], answers: Answers) -> list[str]:
    """What they say, without spaces at the ends."""
    return [answers.tokenizer.decode(own[own != SILENT].tolist()).strip() for own in ids]
