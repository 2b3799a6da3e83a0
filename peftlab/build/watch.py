"""What stands at ports of the frozen backbone while it reads."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.errors import UserError
from peftlab.network.mask import without_padding
from peftlab.site import Site

Add = Callable[[Port, Tensor], None]


def watch(
    backbone: Backbone, ports: Mapping[Port, Site], batches: Iterable[dict[str, Tensor]], add: Add
) -> None:
    """Calls `add(port, value)` with what stands at each port, which is at a site, in every batch of inputs, without padding.

    Raises:
        UserError: if a module is never called.
    """
    modules = dict(backbone.model.named_modules())
    present: dict[Port, Tensor | None] = {}
    heard: set[Port] = set()

    def take(port: Port, value: Tensor) -> None:
        heard.add(port)
        add(port, without_padding(port.value(value, modules), present[port], 0))

    handles = [_hook(modules[port.module], port, take) for port in ports]
    try:
        with torch.no_grad():
            for inputs in batches:
                masks = backbone.masks_at(inputs)
                present |= {port: masks(site).present for port, site in ports.items()}
                backbone.features(inputs)
    finally:
        for handle in handles:
            handle.remove()
    silent = [port.module for port in ports if port not in heard]
    if silent:
        raise UserError(
            f"placement: {backbone.name} never calls {silent[0]}; its forward bypasses it, so nothing is measured there"
        )


def _hook(module: nn.Module, port: Port, take: Add) -> torch.utils.hooks.RemovableHandle:
    def take_input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        take(port, args[0] if args else next(iter(kwargs.values())))  # Llama's attention is called by names

    def take_output(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        take(port, output[0] if isinstance(output, tuple) else output)

    if port.side == "in":
        return module.register_forward_pre_hook(take_input, with_kwargs=True)
    return module.register_forward_hook(take_output)
