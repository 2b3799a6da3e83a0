"""How the sites of a cell act: for each module that one of them reads or writes, what takes the place of its forward."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Port
from peftlab.backbone.int8 import Int8Linear
from peftlab.network.anchor import Anchor
from peftlab.network.attention import AttentionProduct
from peftlab.network.clips import of_clips, over_time
from peftlab.network.forward import Pass
from peftlab.network.kernel.low_rank_linear import LowRankPart, Source, low_rank_linear
from peftlab.network.kernel.thin import hidden_of
from peftlab.peft.delta import Additive, LowRank, OnHeads, Temporal
from peftlab.site import Site

Forward = Callable[..., Any]  # mostly a tensor; an attention of Hugging Face gives a tuple
Act = Callable[..., Any]  # act(frozen, *args, **kwargs), `frozen` being the forward below it
Modules = Mapping[str, nn.Module]  # of the backbone, by name
Acts = dict[str, list[Act]]  # by module, the innermost first


def acts_of(run: Pass, modules: Modules) -> Acts:
    """What the sites of a pass do at each module; prompts aside, which act on whole blocks."""
    acts: Acts = {}
    adds: dict[str, list[Anchor]] = {}
    before: list[Anchor] = []  # which change the stream, for all else that reads it
    for anchor in run.cell.anchors:
        if anchor.writes.side == "tokens" or run.is_off(anchor):
            continue
        if anchor.writes.side == "heads":
            acts.setdefault(anchor.writes.module, []).append(partial(on_heads, run, anchor))
        elif anchor.joins is not None:
            before.append(anchor)
        else:
            adds.setdefault(anchor.writes.module, []).append(anchor)
    for name, group in adds.items():
        acts.setdefault(name, []).append(partial(add_all, run, modules, group))
    for anchor in (anchor for group in adds.values() for anchor in group):
        if anchor.reads.module != anchor.writes.module:
            acts.setdefault(anchor.reads.module, []).append(partial(watch, run, anchor.site, anchor.reads))
        if anchor.gate_reads is not None:
            port = anchor.gate_reads
            acts.setdefault(port.module, []).append(partial(watch, run, anchor.site, port))
    for anchor in before:
        assert anchor.joins is not None
        if anchor.reads.side == "time":
            run.forwards[anchor.reads.module] = modules[anchor.reads.module].forward
        acts.setdefault(anchor.writes.module, []).append(partial(add_all, run, modules, [anchor]))
        acts.setdefault(anchor.joins.module, []).append(partial(join, run, anchor.site, anchor.joins))
    return acts


def sources_of(run: Pass, modules: Modules, acts: Acts) -> Acts:
    """What tells a merged layer how its input was made, at the modules at which nothing acts."""
    names = {
        anchor.reads.source
        for anchor in run.cell.anchors
        if anchor.reads.source is not None and not run.is_off(anchor) and _can_merge(run, [anchor])
    }
    return {
        name: [partial(keep_source, run, name)]
        for name in names
        if name in modules and name not in acts and not _has_parameters(modules[name])
    }


def keep_source(run: Pass, name: str, frozen: Forward, read: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Remember how a module's output was made until the layer that reads it, which may then make it again."""
    output = frozen(read, *args, **kwargs)
    if torch.is_grad_enabled() and read.requires_grad and not (args or kwargs):  # else nobody keeps its input
        run.given[name] = Source(frozen, read, output)
    return output


def watch(run: Pass, site: Site, port: Port, frozen: Forward, *args: Any, **kwargs: Any) -> Any:
    """Keep what a module takes or gives until the site needs it, in the same forward."""
    if port.side == "in":
        run.seen[site, port] = args[0]
    output = frozen(*args, **kwargs)
    if port.side == "out":
        run.seen[site, port] = output
    return output


def add_all(
    run: Pass, modules: Modules, group: list[Anchor], frozen: Forward, *args: Any, **kwargs: Any
) -> Any:
    """write <- write + gamma delta(read) for all sites that write what one module takes or gives."""
    module = modules[group[0].writes.module]
    # a merged product takes the place of the layer's forward: not where somebody has put one of their own
    is_plain = getattr(frozen, "__func__", None) in (nn.Linear.forward, Int8Linear.forward)
    merged = _merged(run, module, group) if is_plain else None
    if merged is not None:
        assert isinstance(module, nn.Linear)
        source = run.given.pop(group[0].reads.source or "", None)
        write = low_rank_linear(args[0], module.weight, module.bias, merged, source)
        for anchor, part in zip(group, merged, strict=True) if run.norms is not None else ():
            _note_merged(run, anchor, part, args[0], anchor.writes.value(write, modules))
        return write
    read, rest = args[0], args[1:]
    for anchor in group:
        if anchor.writes.side == "in":
            read = _add(run, modules, read, anchor, _seen(run, anchor, frozen, read))
    write = frozen(read, *rest, **kwargs)
    for anchor in group:
        if anchor.writes.side == "out":
            write = _add(run, modules, write, anchor, read)
    return write


def _seen(run: Pass, anchor: Anchor, norm: Forward, read: Tensor) -> Tensor:
    """What a module takes, or what the sub-layer behind it, if it is a norm, makes of that over time."""
    if anchor.reads.side != "time":
        return read
    sublayer = run.forwards[anchor.reads.module]

    def made(tokens: Tensor) -> Tensor:
        given = sublayer(norm(tokens))
        first: Tensor = given[0] if isinstance(given, tuple) else given  # some attention gives its map, too
        return first

    return over_time(made, read, run.num_frames)


def join(run: Pass, site: Site, port: Port, frozen: Forward, *args: Any, **kwargs: Any) -> Any:
    """What a module gives, and what the site has added to the stream that goes around it."""
    output, added = frozen(*args, **kwargs), run.taken(site, port)
    return (output[0] + added, *output[1:]) if isinstance(output, tuple) else output + added


def on_heads(run: Pass, anchor: Anchor, frozen: Forward, read: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The module's forward with its attention product in the hands of the site."""
    delta = anchor.delta
    assert isinstance(delta, OnHeads)

    def act(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        gamma, gate = run.factors(anchor, read)
        if gamma is not None and gamma.ndim:
            gamma = gamma.unflatten(0, (-1, 1, k.shape[-1]))
            gamma = gamma.repeat_interleave(q.shape[1] // gamma.shape[0], dim=0)  # queries that share a key
        heads: Tensor = delta(attend, q, k, v, gamma, None if gate is None else gate.unsqueeze(1))
        if run.norms is not None:
            alone = attend(q, k, v)
            run.note(anchor.site, heads - alone, alone)
        return heads

    with AttentionProduct(act):
        return frozen(read, *args, **kwargs)


def _merged(run: Pass, module: nn.Module, group: list[Anchor]) -> list[LowRankPart] | None:
    """The low-rank factors of all sites of a linear layer that read its input, or None if one has none."""
    if not isinstance(module, nn.Linear):
        return None
    if not _can_merge(run, group):
        return None
    parts = []
    for anchor in group:
        assert isinstance(anchor.delta, LowRank)
        factors = anchor.delta.factors(run.now(anchor.site))
        if factors is None:
            return None
        rows = slice(*_span(anchor.writes.slice, module.out_features))
        scale = run.scales.get(anchor.site)
        scale = torch.ones((), device=module.weight.device) if scale is None else scale
        parts.append(LowRankPart(rows, scale, *factors))
    return parts


def _can_merge(run: Pass, group: list[Anchor]) -> bool:
    """Whether all sites of a module are low-rank, ungated, and read what it takes and write what it gives."""
    return all(
        isinstance(anchor.delta, LowRank)
        and run.cell.gate_at(anchor.site) is None
        and anchor.reads == Port(anchor.writes.module, "in")
        and anchor.writes.side == "out"
        for anchor in group
    )


def _has_parameters(module: nn.Module) -> bool:
    """Whether it has any, which may be others in a forward than in its backward."""
    return next(module.parameters(), None) is not None


@torch.no_grad()
def _note_merged(run: Pass, anchor: Anchor, part: LowRankPart, read: Tensor, whole: Tensor) -> None:
    """What a site has added to the output of a merged layer, and what was there; `whole` is their sum."""
    up = part.B * (part.scale.unsqueeze(-1) if part.scale.ndim else part.scale)
    added = hidden_of(part.A.to(read), read.flatten(0, -2)).T @ up.T.to(read)
    run.note(anchor.site, added, whole.flatten(0, -2) - added)


def _add(run: Pass, modules: Modules, write: Tensor, anchor: Anchor, read_in: Tensor) -> Tensor:
    """write <- write + gamma delta(read) on the slice of the last axis that the site writes."""
    if anchor.reads.side == "time":
        read = read_in
    elif anchor.reads.module != anchor.writes.module:
        read = run.taken(anchor.site, anchor.reads)
    else:
        read = read_in if anchor.reads.side == "in" else anchor.reads.value(write, modules)
    delta, now = anchor.delta, run.now(anchor.site)
    assert isinstance(delta, Additive)
    added = of_clips(delta, read, run.num_frames, now) if isinstance(delta, Temporal) else delta(read, now)
    for factor in run.factors(anchor, read):
        added = added if factor is None else added * factor
    if anchor.joins is not None:
        run.seen[anchor.site, anchor.joins] = added
    if run.norms is not None:
        run.note(anchor.site, added, anchor.writes.value(write, modules))
    if anchor.writes.slice[1] == 1:
        return write + added
    start, stop = _span(anchor.writes.slice, write.shape[-1])
    return torch.cat([write[..., :start], write[..., start:stop] + added, write[..., stop:]], dim=-1)


def _span(part: tuple[int, int], width: int) -> tuple[int, int]:
    size = width // part[1]
    return part[0] * size, (part[0] + 1) * size
