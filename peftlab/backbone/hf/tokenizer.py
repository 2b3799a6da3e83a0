"""From texts to token ids, by the file tokenizer.json of a model."""

import hashlib
import json
from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.inputs.text import Encoded

DECIDED = ("truncation", "padding")  # by whoever makes batches


class FileTokenizer:
    """The tokenizer of a tokenizer.json, with the special tokens that its network expects."""

    def __init__(
        self,
        file: Path,
        pad_id: int,
        num_ids: int,
        end_id: int | None = None,
        *,
        answers_apart: bool = False,
        is_padded: bool = False,
    ) -> None:
        """`num_ids` are the rows of the network's table of tokens; `end_id` is the one that ends a text, of a network that
        writes texts; with `answers_apart` a decoder reads answers as texts of their own, with the special tokens of one; with
        `is_padded` the network reads padding, and every text has the whole length.

        Raises:
            UserError: if the file cannot be read, or has tokens that the network lacks.
        """
        from tokenizers import Tokenizer

        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            self._tokenizer: Any = Tokenizer.from_file(str(file))
        except Exception as error:  # what the library raises is a plain Exception
            raise UserError(
                f"backbone.name: {file} cannot be read ({error}); legal: a tokenizer.json"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        largest = max(self._tokenizer.get_vocab().values(), default=-1)
        if largest >= num_ids:
            raise UserError(
                f"backbone.name: {file} gives tokens up to {largest}, and the network has {num_ids}; legal: files of one model"
            )
        kept = {key: value for key, value in content.items() if key not in DECIDED}
        ids = [pad_id, *([] if end_id is None else [end_id]), *(["apart"] if answers_apart else [])]
        ids += ["padded"] if is_padded else []
        self.hash = hashlib.sha256(json.dumps([kept, *ids], sort_keys=True).encode()).hexdigest()
        self.pad_id, self.end_id, self.file, self._apart = pad_id, end_id, file, answers_apart
        self._is_padded = is_padded

    def encode(self, first: list[str], second: list[str] | None, max_length: int) -> list[Encoded]:
        """Each text, or each pair of texts, as at most `max_length` tokens; of a pair the longer text is cut first."""
        given: list[Any] = first if second is None else list(zip(first, second, strict=True))
        found = self._tokenizer.encode_batch(given)
        long = [index for index, one in enumerate(found) if len(one.ids) > max_length]
        result = [Encoded(one.ids, one.type_ids, 0) for one in found]
        if long:
            self._tokenizer.enable_truncation(max_length)
            try:
                cut = self._tokenizer.encode_batch([given[index] for index in long])
            finally:
                self._tokenizer.no_truncation()
            for index, one in zip(long, cut, strict=True):
                dropped = len(found[index].ids) - len(one.ids)
                result[index] = Encoded(one.ids, one.type_ids, dropped)
        return [self._padded(one, max_length) for one in result] if self._is_padded else result

    def _padded(self, one: Encoded, length: int) -> Encoded:
        rest = length - len(one.ids)
        return Encoded(one.ids + [self.pad_id] * rest, one.types + [0] * rest, one.num_dropped)

    def encode_answers(
        self, prompts: list[str], answers: list[str], max_length: int, max_answer: int | None
    ) -> list[Encoded]:
        """Each prompt and behind it its answer with the token that ends it; both lose their end."""
        assert self.end_id is not None
        asked = self._tokenizer.encode_batch(prompts)
        said = self._tokenizer.encode_batch(answers, add_special_tokens=self._apart)
        result = []
        for before, behind in zip(asked, said, strict=True):
            has_end = self._apart and behind.ids[-1:] == [self.end_id]
            whole = behind.ids if has_end else [*behind.ids, self.end_id]
            ids = [*before.ids, *whole[:max_answer]]
            types = [0] * len(before.ids) + [1] * (len(ids) - len(before.ids))
            dropped = len(before.ids) + len(whole) - min(len(ids), max_length)
            result.append(Encoded(ids[:max_length], types[:max_length], dropped))
        return result

    def decode(self, ids: list[int]) -> str:
        """The text of some tokens, without special ones."""
        text: str = self._tokenizer.decode(ids)
        return text
