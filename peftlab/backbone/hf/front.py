"""What Hugging Face PEFT puts before a text: keys and values in the cache of a decoder, or embeddings."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone

OF_LENGTH = ("dynamic", "longrope")  # turns that are others in a longer text


def turned(backbone: Backbone, keys: Float[Tensor, "l h d"], by: int) -> Float[Tensor, "l h d"]:
    """Keys that stand at position `by`, of keys that stand at 0: the network's own turn of the pairs of each head."""
    assert backbone.rotary is not None
    rotary, config = backbone.model.get_submodule(backbone.rotary), _config(backbone.model)
    position = torch.full((1, 1), by, device=keys.device)
    turns = [turn[0, 0] for turn in rotary(keys, position_ids=position)]
    if config.model_type == "gptj":  # neighbours are a pair, of all that is turned
        sin, cos = turns
        a, b = keys[..., : 2 * len(cos)].unflatten(-1, (-1, 2)).unbind(-1)
        own = torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)
    else:
        cos, sin = (turn[: len(turn) // 2] for turn in turns)  # the same for both of a pair
        a, b = keys[..., : 2 * len(cos)].chunk(2, dim=-1)
        own = torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
    return torch.cat([own, keys[..., own.shape[-1] :]], dim=-1)


def why_not_in_front(backbone: Backbone, num: int, max_length: int) -> str | None:
    """Why a text of `max_length` tokens behind `num` others is not read as it is without them, but for what these say; None if it is."""
    if backbone.decoder is not None:
        return "behind an encoder PEFT has a prefix in the decoder alone, which it gives the states of prompts, too"
    if backbone.rotary is None:
        return (
            "it is exact where queries and keys are turned; elsewhere PEFT moves the text to other positions"
        )
    rotary, config = backbone.model.get_submodule(backbone.rotary), _config(backbone.model)
    kind, strength = getattr(rotary, "rope_type", "default"), getattr(rotary, "attention_scaling", 1.0)
    if kind in OF_LENGTH or strength != 1.0:
        return f"turns of the kind {kind} are not those of the relative position alone"
    most = getattr(rotary, "max_positions", None)  # of a table of turns
    window = getattr(config, "sliding_window", None)
    for limit, noun in ((most, "positions"), (window, "tokens of its window")):
        if limit is not None and num + max_length > limit:
            return f"{num} in front and {max_length} tokens of a text are more than the {limit} {noun}"
    return None


def _config(network: Any) -> Any:
    return network.config


class Fronted(nn.Module):
    """A network that reads texts as PEFT has it read them; its features are those of the text.

    `front` is `[num, blocks * 2 * heads * d]` with a `new_cache` (k and v of each block in turn), and else `[num, width]`.
    """

    def __init__(
        self, network: nn.Module, front: Tensor, new_cache: Callable[[], Any] | None, num_heads: int
    ) -> None:
        super().__init__()
        self.network, self.front, self.new_cache, self.num_heads = network, front, new_cache, num_heads
        self.config = _config(network)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **given: Any) -> Any:
        """`last_hidden_state` of the text alone."""
        num, network = len(self.front), self.network
        ones = attention_mask.new_ones(len(attention_mask), num)
        given["attention_mask"] = torch.cat([ones, attention_mask], dim=1)
        if self.new_cache is None:
            embed: nn.Module = network.get_input_embeddings()  # type: ignore[operator]
            prompts = self.front.expand(len(input_ids), -1, -1)
            embedded = torch.cat([prompts, embed(input_ids)], dim=1)
            hidden = network(inputs_embeds=embedded, **given).last_hidden_state
            return SimpleNamespace(last_hidden_state=hidden[:, num:])
        parameters = inspect.signature(network.forward).parameters
        given["cache" if "cache" in parameters else "past_key_values"] = self._filled(len(input_ids))
        return network(input_ids=input_ids, **{**given, "use_cache": True})

    def _filled(self, num_items: int) -> Any:
        assert self.new_cache is not None
        cache, num_blocks = self.new_cache().cache, self.config.num_hidden_layers
        vectors = self.front.unflatten(1, (2 * num_blocks, self.num_heads, -1)).permute(1, 2, 0, 3)
        for block in range(num_blocks):
            keys, values = (
                vectors[2 * block + part].expand(num_items, -1, -1, -1).clone() for part in (0, 1)
            )
            cache.update(keys, values, block)
        return cache
