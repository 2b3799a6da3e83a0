"""The mean square of tensors inside the frozen backbone."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.errors import UserError
from peftlab.network.mask import without_padding
from peftlab.site import Site


def mean_squares(
    backbone: Backbone, ports: Mapping[Port, Site], batches: Iterable[dict[str, Tensor]]
) -> dict[Port, float]:
    """E[y^2] at each port, which stands at a site, over all batches of inputs, tokens and channels; no batch counts more than its
    entries do, and padding does not count.

    Raises:
        UserError: if a module is never called.
    """
    modules = dict(backbone.model.named_modules())
    sums: dict[Port, tuple[Tensor, int]] = {}
    present: dict[Port, Tensor | None] = {}
    handles = [_watch(modules, port, sums, present) for port in ports]
    try:
        with torch.no_grad():
            for inputs in batches:
                masks = backbone.masks_at(inputs)
                present |= {port: masks(site).present for port, site in ports.items()}
                backbone.features(inputs)
    finally:
        for handle in handles:
            handle.remove()
    silent = [port.module for port in ports if port not in sums]
    if silent:
        raise UserError(
            f"placement: {backbone.name} never calls {silent[0]}; its forward bypasses it, so it has no energy"
        )
    return {port: total.item() / count for port, (total, count) in sums.items()}


def _watch(
    modules: Mapping[str, nn.Module],
    port: Port,
    sums: dict[Port, tuple[Tensor, int]],
    present: Mapping[Port, Tensor | None],
) -> torch.utils.hooks.RemovableHandle:
    def add(value: Tensor) -> None:
        own = without_padding(port.value(value, modules), present[port], 0).double()
        total, number = sums.get(port, (own.new_zeros(()), 0))
        sums[port] = (total + own.square().sum(), number + own.numel())

    def add_input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        add(args[0] if args else next(iter(kwargs.values())))  # Llama's attention is called by names

    module = modules[port.module]
    if port.side == "in":
        return module.register_forward_pre_hook(add_input, with_kwargs=True)
    return module.register_forward_hook(lambda module, args, output: add(output))
