"""open_clip's tokenizers: its own of byte pairs, and those of Hugging Face."""

import hashlib
import json
from typing import Any

from peftlab.errors import UserError
from peftlab.inputs.text import Encoded


class ClipTokenizer:
    """What `open_clip.get_tokenizer` gives; with `is_padded` every text has the whole length, since its network reads padding."""

    def __init__(self, tokenizer: Any, *, is_padded: bool) -> None:
        self._tokenizer, self._is_padded = tokenizer, is_padded
        inner = getattr(tokenizer, "tokenizer", None)  # of Hugging Face
        if inner is None:
            self.pad_id = 0
            made_of = [tokenizer.encoder, sorted(tokenizer.bpe_ranks.items(), key=lambda item: item[1])]
        else:
            self.pad_id = int(inner.pad_token_id)
            made_of = [json.loads(inner.backend_tokenizer.to_str()), bool(tokenizer.strip_sep_token)]
        made_of += [tokenizer.clean_fn.__name__, tokenizer.context_length, is_padded]
        self.hash = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def encode(self, first: list[str], second: list[str] | None, max_length: int) -> list[Encoded]:
        """Each text as at most `max_length` tokens, of which the last one ends it.

        Raises:
            UserError: for pairs of texts.
        """
        if second is not None:
            raise UserError(
                "backbone: a CLIP reads one text at a time, and no pairs; legal: pair_column=null"
            )
        if not first:
            return []
        rows = self._tokenizer(first, context_length=max_length).tolist()
        counts = self._counts(first)
        kept = [max_length if self._is_padded else min(count, max_length) for count in counts]
        return [
            Encoded(row[:length], [0] * length, max(count - max_length, 0))
            for row, count, length in zip(rows, counts, kept, strict=True)
        ]

    def _counts(self, texts: list[str]) -> list[int]:
        """How many tokens each text has, with those that begin and end it."""
        own = self._tokenizer
        if not hasattr(own, "tokenizer"):
            return [len(own.encode(text)) + 2 for text in texts]
        return [len(ids) for ids in own.tokenizer([own.clean_fn(text) for text in texts])["input_ids"]]
