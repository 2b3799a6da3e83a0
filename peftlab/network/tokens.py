"""Sites that put prompts among the tokens that enter a block."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.errors import UserError
from peftlab.network.acts import Acts, Forward
from peftlab.network.anchor import Anchor
from peftlab.network.forward import Pass
from peftlab.network.mask import each, with_room
from peftlab.peft.delta import OnTokens


class Stop(NamedTuple):
    """A block on the way of the prompts, with the site that is there, if one is; `rotary` makes its turns out of positions,
    `relative` the bias of its scores."""

    block: nn.Module
    anchor: Anchor | None
    is_first: bool
    is_last: bool
    is_causal: bool
    rotary: nn.Module | None
    relative: nn.Module | None


def check_prompts(anchors: list[Anchor]) -> None:
    """Every form can stand where it is, from the bottom up.

    Raises:
        UserError: for the first that cannot.
    """
    count = 0
    for anchor in anchors:
        delta = anchor.delta
        if not isinstance(delta, OnTokens):
            continue
        try:
            entering = delta.num_prompts(count)
        except ValueError as error:
            raise UserError(f"placement: {anchor.site} has a {type(delta).__name__}, but {error}") from error
        count = entering if delta.travels else 0


def prompts_of(run: Pass, backbone: Backbone, modules: dict[str, nn.Module]) -> Acts:
    """Prompts join at the first of their sites, travel on until the next site, and leave after the last block.

    Those that do not travel leave behind the block of their site. So what follows the blocks (norm, pooling) sees the
    tokens that the backbone has, as many as without prompts. A site that is off is as if it were not there.
    """
    sites = {anchor.writes.module: anchor for anchor in run.cell.anchors if anchor.writes.side == "tokens"}
    acts: Acts = {}
    for tower in (backbone.towers or (backbone,)) if sites else ():
        acts |= _of_stack(run, tower, modules, sites)
    return acts


def _of_stack(run: Pass, backbone: Backbone, modules: dict[str, nn.Module], sites: dict[str, Anchor]) -> Acts:
    acts: Acts = {}
    some_travel = False
    blocks = backbone.blocks[: backbone.decoder]  # of an encoder and a decoder those of the encoder
    for name in blocks:
        anchor = sites.get(name)
        if anchor is not None or some_travel:
            rotary, relative = (
                None if path is None else modules[path] for path in (backbone.rotary, backbone.relative)
            )
            last = name == blocks[-1]
            stop = Stop(modules[name], anchor, not acts, last, backbone.is_causal, rotary, relative)
            acts[name] = [partial(_through, run, stop, backbone.num_prefix_tokens)]
        some_travel = some_travel or (anchor is not None and getattr(anchor.delta, "travels", False))
    return acts


def _through(run: Pass, stop: Stop, start: int, frozen: Forward, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The forward of a block with the prompts behind the first `start` tokens."""
    entered = None if stop.is_first else run.entered
    before = 0 if entered is None else entered.shape[1]
    prompts, leave = x[:, start : start + before] if before else None, stop.is_last
    if stop.anchor is not None and not run.is_off(stop.anchor):
        own = torch.cat([x[:, :start], x[:, start + before :]], dim=1) if before else x
        prompts = _prompts(run, stop.anchor, own, entered, prompts)
        x = torch.cat([own[:, :start], prompts, own[:, start:]], dim=1)
        leave = leave or not getattr(stop.anchor.delta, "travels", False)
    count = 0 if prompts is None else prompts.shape[1]
    run.entered = None if leave else prompts
    if count:
        room = partial(with_room, start=start, count=count, is_causal=stop.is_causal)
        args, kwargs = each(args, room), _turned(stop, each(kwargs, room), x, count)
        args, kwargs = _biased(stop, args, kwargs, x)
    with _unrotated(stop.block, start + count):
        given = frozen(x, *args, **kwargs)
    x, *more = given if isinstance(given, tuple) else (given,)
    x = torch.cat([x[:, :start], x[:, start + count :]], dim=1) if leave and count else x
    if stop.relative is not None:  # the bias goes on to the next block, without prompts as it has come
        more[0] = more[0][..., count:, count:]
    return (x, *more) if more else x


def _prompts(run: Pass, anchor: Anchor, own: Tensor, entered: Tensor | None, left: Tensor | None) -> Tensor:
    """The prompts of a site, for every item."""
    gamma, gate = run.factors(anchor, own)
    now = run.now(anchor.site)._replace(num_items=own.shape[0])
    prompts: Tensor = anchor.delta(entered, left, gamma, gate, now)
    prompts = prompts.to(own).expand(own.shape[0], prompts.shape[-2], -1)
    run.note(anchor.site, prompts, own)
    return prompts


def _turned(stop: Stop, kwargs: dict[str, Any], x: Tensor, count: int) -> dict[str, Any]:
    """A block's named arguments with a position of their own for the `count` prompts, from 0, and the tokens behind them."""
    if stop.rotary is None or "position_ids" not in kwargs:
        return kwargs
    tokens = kwargs["position_ids"]
    prompts = torch.arange(count, device=tokens.device).expand(len(tokens), -1)
    positions = torch.cat([prompts, tokens + count], dim=1)
    most = getattr(stop.rotary, "max_positions", None)  # of a table of turns (GPT-J)
    if most is not None and positions.shape[1] > most:
        raise UserError(
            f"peft: {count} prompts before {tokens.shape[1]} tokens are more than the {most} positions of the network; legal:"
            f" together at most {most}"
        )
    return {
        **kwargs,
        "position_ids": positions,
        "position_embeddings": stop.rotary(x, position_ids=positions),
    }


def _biased(
    stop: Stop, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A block's arguments with the bias of scores for all tokens of `x`: the prompts stand at positions of their own, from 0."""
    if stop.relative is None:
        return args, kwargs
    names = [*inspect.signature(type(stop.block).forward).parameters][2:]
    attention: Any = stop.relative
    bias = attention.compute_bias(x.shape[1], x.shape[1])
    return (), {**dict(zip(names, args, strict=False)), **kwargs, "position_bias": bias}


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
