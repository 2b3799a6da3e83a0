"""Every delta folded into the weight of the layer that it acts on."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from peftlab.backbone.plain import plain
from peftlab.export.affine import Affine, Diagonal, affine
from peftlab.export.refuse import Reason, refuse
from peftlab.model.load import Trained
from peftlab.network.anchor import Anchor

State = dict[str, Tensor]
LEGAL = "peftlab-export RUN --to adapter, or a method that is linear in what one layer reads or writes"


def merge(trained: Trained, to: str = "timm") -> State:
    """The backbone's state dict with selected weights in their place and every site folded in, in fp32.

    With the delta g (M x + t), g the gamma of the site, and W the rows of the layer that the site writes:
    parallel W <- W + g M, b <- b + g t; sequential W <- W + g M W, b <- b + g M b + g t; input (what the layer takes)
    W <- W + W g M, b <- b + W g t. The weight of a norm is a diagonal W. The sums are made in float64.

    Raises:
        UserError: naming every site that is no such map, with the reason.
    """
    model = trained.model
    with torch.no_grad():
        selected = {name: value.detach() for name, value in model.cell.selected.weights().items()}
        frozen = {name: plain(value) for name, value in model.backbone.state_dict().items()}
        state: State = {**frozen, **selected}
        refuse(to, reasons(trained, state), LEGAL)
        scales, one = model.gamma.scales(), torch.ones(())
        wide: State = {}
        for anchor in _in_order(model.cell.anchors):
            form = affine(anchor.delta, scales.get(anchor.site, one), model.widths.get(anchor.site))
            assert form is not None
            keys = _keys(anchor, state)
            for key in keys:
                if key is not None:
                    wide.setdefault(key, state[key].double())
            _fold(anchor, form, wide, *keys)
        return {**state, **{key: value.float() for key, value in wide.items()}}


def merged_sites(trained: Trained) -> dict[str, Any]:
    """What `merge` does, for the card."""
    merged: dict[str, list[str]] = {}
    for site in trained.model.sites:
        merged.setdefault(type(trained.model.delta_at(site)).__name__, []).append(str(site))
    return {"merged": merged, "selected_weights": sorted(trained.model.cell.selected.weights())}


def _in_order(anchors: Iterable[Anchor]) -> list[Anchor]:
    """What acts on an input is folded last, the last of it first: all that reads the input sees it changed."""
    inputs = [anchor for anchor in anchors if anchor.writes.side == "in"]
    return [*(anchor for anchor in anchors if anchor.writes.side != "in"), *reversed(inputs)]


def _keys(anchor: Anchor, state: State) -> tuple[str, str | None]:
    """The weight and its bias, which BEiT and EVA keep apart for q and v."""
    module = anchor.writes.module
    bias = anchor.writes.bias or f"{module}.bias"
    return f"{module}.weight", bias if bias in state else None


def _fold(anchor: Anchor, form: Affine, wide: State, weight: str, bias: str | None) -> None:
    index, count = anchor.writes.slice
    W = wide[weight].chunk(count)[index]
    b = None if bias is None else wide[bias]
    if b is not None and bias != anchor.writes.bias:
        b = b.chunk(count)[index]
    shift = form.t
    if anchor.writes.side == "in":
        shift = None if form.t is None else W @ form.t
        W += form.before(W)
    elif anchor.reads.side == "in":
        W += form.matrix()
    else:
        W += form.after(W)
        if b is not None:
            b += form.after(b)
    if shift is not None:
        assert b is not None
        b += shift


def reasons(trained: Trained, state: State) -> Iterable[Reason]:
    """Why the sites of a run cannot be folded into weights: nothing if they can."""
    for anchor in trained.model.cell.anchors:
        text = why_not_one_map(trained, anchor) or _why_not_folded(anchor, state)
        if text is not None:
            yield Reason(type(anchor.delta).__name__, anchor.site, text)


def why_not_one_map(trained: Trained, anchor: Anchor) -> str | None:
    """Why a site is no affine map of what one layer takes or gives, or None."""
    if trained.model.cell.gate_at(anchor.site) is not None:
        return "its gate depends on the input"
    if anchor.writes.side == "heads":
        return "it acts inside the attention product"
    if anchor.writes.side == "tokens":
        return "it works with tokens of its own"
    if affine(anchor.delta, torch.ones(())) is None:
        return "it is not linear"
    if anchor.joins is not None:
        return "it changes the stream, which goes on around the norm"
    if anchor.reads.module != anchor.writes.module:
        return "it reads another module than it writes"
    return None


def _why_not_folded(anchor: Anchor, state: State) -> str | None:
    weight, bias = _keys(anchor, state)
    if weight not in state:
        return "what it writes is the product of no single weight"
    form = affine(anchor.delta, torch.ones(()))
    assert form is not None
    if not isinstance(form, Diagonal) and state[weight].ndim == 1:
        return "the weight of a norm is no matrix"
    if form.t is not None and bias is None:
        return "its layer has no bias to take the shift"
    return None
