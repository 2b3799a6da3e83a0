"""Sites that put prompts among the tokens that enter a block."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.errors import UserError
from peftlab.peft.delta import Delta, OnTokens
from peftlab.site import Site

Factors = Callable[[Site, Tensor], tuple[Tensor | None, Tensor | None]]
Note = Callable[[Site, Tensor, Tensor], None]


class Tokens:
    """Prompts join at the first of their sites, travel on until the next site, and leave after the last block.

    Those that do not travel leave behind the block of their site. So what follows the blocks (norm, pooling) sees the tokens
    that the backbone has, as many as without prompts. A site that is off (`active` 0) is as if it were not there.
    """

    def __init__(
        self, backbone: Backbone, sites: Mapping[str, tuple[Site, Delta]], factors: Factors, note: Note
    ) -> None:
        self._start = backbone.num_prefix_tokens
        self._factors, self._note = factors, note
        self._entered: Tensor | None = (
            None  # the prompts that entered the block below, if they left it again with it
        )
        self.forwards: dict[str, Callable[..., Tensor]] = {}
        modules = dict(backbone.model.named_modules())
        count, some_travel = 0, False
        for name in backbone.blocks:
            site, delta = sites.get(name, (None, None))
            assert delta is None or isinstance(delta, OnTokens)
            if delta is not None or some_travel:
                is_first, is_last = not self.forwards, name == backbone.blocks[-1]
                self.forwards[name] = partial(self._forward, modules[name], site, delta, is_first, is_last)
            if delta is not None:
                count = _count(site, delta, count) if delta.travels else 0
                some_travel = some_travel or delta.travels

    def _forward(
        self,
        block: nn.Module,
        site: Site | None,
        delta: OnTokens | None,
        is_first: bool,
        is_last: bool,
        frozen: Callable[..., Tensor],
        x: Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        start, entered = self._start, None if is_first else self._entered
        before = 0 if entered is None else entered.shape[1]
        prompts = x[:, start : start + before] if before else None
        if site is not None and delta is not None and delta.active != 0:
            own = torch.cat([x[:, :start], x[:, start + before :]], dim=1) if before else x
            gamma, gate = self._factors(site, own)
            prompts = delta(entered, prompts, gamma, gate)
            prompts = prompts.to(x).expand(x.shape[0], prompts.shape[-2], -1)
            self._note(site, prompts, own)
            x = torch.cat([own[:, :start], prompts, own[:, start:]], dim=1)
            is_last = is_last or not delta.travels
        count = 0 if prompts is None else prompts.shape[1]
        self._entered = None if is_last else prompts
        with _unrotated(block, start + count):
            x = frozen(x, *args, **kwargs)
        return torch.cat([x[:, :start], x[:, start + count :]], dim=1) if is_last and count else x


def _count(site: Site | None, delta: OnTokens, before: int) -> int:
    try:
        return delta.num_prompts(before)
    except ValueError as error:
        raise UserError(f"placement: {site} has a {type(delta).__name__}, but {error}") from error


@contextmanager
def _unrotated(block: nn.Module, num_prefix_tokens: int) -> Iterator[None]:
    """Inside, the block's attention gives a rotary position to none of the so many first tokens (EVA-02)."""
    attention: Any = getattr(block, "attn", None)
    before = getattr(attention, "num_prefix_tokens", None)
    if before is None:
        yield
        return
    attention.num_prefix_tokens = num_prefix_tokens
    try:
        yield
    finally:
        attention.num_prefix_tokens = before
