"""The mean square of tensors inside the frozen backbone."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from peftlab.backbone.backbone import Backbone, Port
from peftlab.build.watch import watch
from peftlab.site import Site


def mean_squares(
    backbone: Backbone, ports: Mapping[Port, Site], batches: Iterable[dict[str, Tensor]]
) -> dict[Port, float]:
    """E[y^2] at each port, which stands at a site, over all batches of inputs, tokens and channels; no batch counts more than its
    entries do, and padding does not count.

    Raises:
        UserError: if a module is never called.
    """
    sums: dict[Port, tuple[Tensor, int]] = {}

    def add(port: Port, value: Tensor) -> None:
        own = value.double()
        total, number = sums.get(port, (own.new_zeros(()), 0))
        sums[port] = (total + own.square().sum(), number + own.numel())

    watch(backbone, ports, batches, add)
    return {port: total.item() / count for port, (total, count) in sums.items()}
