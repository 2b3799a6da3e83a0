"""From texts to features: out of the last hidden states, those that stand for a text or for each token of an answer."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.inputs.text import ANSWERS, CACHE, said_of

# The batch may stand in the network several times, one behind the other, for several cells: then it does in the features.


def read_mean(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The mean over the tokens that are no padding, `[b, d]`."""
    hidden = _hidden(model, inputs)
    mask = inputs["attention_mask"].to(hidden.dtype).unsqueeze(-1)
    mask = mask.repeat(hidden.shape[0] // mask.shape[0], 1, 1)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def read_first(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The first token's, `[b, d]`."""
    return _hidden(model, inputs)[:, 0]


def read_last(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The last token's that is no padding, `[b, d]`; where texts have answers, of each token of an answer that of the token
    before it, `[t, d]`, text by text."""
    hidden = _hidden(model, inputs)
    answers = inputs.get(ANSWERS)
    if answers is not None:
        before = hidden[:, :-1]
        if answers.is_meta:  # no numbers that say how many
            return before.flatten(0, 1)
        return before[answers[:, 1:].bool().repeat(hidden.shape[0] // answers.shape[0], 1)]
    mask = inputs["attention_mask"][:, -hidden.shape[1] :]  # of tokens behind those of a cache
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    rows = torch.arange(hidden.shape[0], device=hidden.device)
    return hidden[rows, last.repeat(hidden.shape[0] // mask.shape[0])]


def read_decoder(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Of a decoder behind an encoder the last token's, `[b, d]`: it reads the same text one token later, as transformers' own
    classifier. Where texts have answers, the encoder reads what is asked and the decoder the answer, and features are those
    from which each of its tokens is said, `[t, d]`, text by text. With a cache the encoder reads the question and the decoder its
    first token, then token for token; features are those of the last, `[b, d]`."""
    if CACHE in inputs:
        return _read_on(model, inputs)
    network: Any = model
    ids, mask, answers = inputs["input_ids"], inputs["attention_mask"], inputs.get(ANSWERS)
    seen = mask if answers is None else mask * (1 - answers)
    said, present = said_of(inputs)
    read = torch.cat([_start(network, said), said[:, :-1]], dim=1)
    more: dict[str, Any] = {}
    across = seen
    if mask.is_meta:  # transformers asks its numbers
        seen = across = mask.new_ones(len(mask), 1, mask.shape[1], mask.shape[1], dtype=torch.bool)
        more = {"attention_mask": seen}
    encoded = network.encoder(input_ids=ids, attention_mask=seen).last_hidden_state
    hidden: Tensor = network.decoder(
        input_ids=read,
        encoder_hidden_states=encoded,
        encoder_attention_mask=across,
        use_cache=False,
        **more,
    ).last_hidden_state
    if answers is not None:
        return hidden.flatten(0, 1) if answers.is_meta else hidden[present.bool()]
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def _read_on(model: nn.Module, inputs: dict[str, Any]) -> Tensor:
    network: Any = model
    heard, ids = inputs[CACHE], inputs["input_ids"]
    if heard.encoded is None:
        heard.mask = inputs["attention_mask"]
        heard.encoded = network.encoder(input_ids=ids, attention_mask=heard.mask).last_hidden_state
        ids = _start(network, ids)
    given = {"encoder_hidden_states": heard.encoded, "encoder_attention_mask": heard.mask}
    cache = {_cache_word(network.decoder): heard.cache}
    hidden: Tensor = network.decoder(input_ids=ids, use_cache=True, **given, **cache).last_hidden_state
    return hidden[:, -1]


def _start(network: Any, ids: Tensor) -> Tensor:
    """What a decoder reads first, `[b, 1]`."""
    return torch.full_like(ids[:, :1], network.config.decoder_start_token_id)


def _cache_word(network: Any) -> str:
    """What its forward calls a cache; the second is that before transformers 5.24."""
    return CACHE if CACHE in inspect.signature(network.forward).parameters else "past_key_values"


def _hidden(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    network: Any = model
    given: dict[str, Any] = {key: value for key, value in inputs.items() if key != ANSWERS}
    mask, has_cache = inputs["attention_mask"], bool(getattr(network.config, "use_cache", False))
    if has_cache:
        given["use_cache"] = CACHE in given
    if CACHE in given:
        given[_cache_word(network)] = given.pop(CACHE).cache
    if network.config.model_type == "mamba":
        # padding stands behind a text and reaches nothing; a mask of two axes would not follow the rows of several cells
        given.pop("attention_mask")
    elif (
        mask.is_meta
    ):  # transformers asks its numbers whether any token is hidden, and whether several texts stand in one
        given["attention_mask"] = mask.new_ones(len(mask), 1, mask.shape[1], mask.shape[1], dtype=torch.bool)
        places = torch.arange(mask.shape[1], device=mask.device).unsqueeze(0)
        given |= {"position_ids": places} if has_cache else {}
    hidden: Tensor = network(**given).last_hidden_state
    return hidden


READ: dict[str, Callable[[nn.Module, dict[str, Tensor]], Tensor]] = {
    "mean": read_mean,
    "first": read_first,
    "last": read_last,
}
