"""A network whose gradients and activations can be written down."""

from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def toy() -> Any:
    """features = W_q x + b_q + 2 (W_k x + b_k) + 0 (W_v x + b_v), x the mean colour; loss = mean_b |features|^2 / 2.

    q, k and v are thirds of one fused layer, so that dL/dW_q = mean_b f x^T, dL/dW_k is twice that and dL/dW_v is 0.
    """
    import torch
    from torch import nn

    from peftlab.backbone.backbone import Backbone, Place, Port
    from peftlab.build.scorer import Scorer
    from peftlab.inputs.batch import Batch
    from peftlab.inputs.image import InputSpec
    from peftlab.placement.ground import Ground
    from peftlab.site import Site

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(3, 6)

        def forward(self, images: Any) -> Any:
            q, k, v = self.qkv(images.mean((2, 3))).chunk(3, dim=-1)
            return q + 2 * k + 0 * v

    rng = torch.Generator().manual_seed(3)
    model = Net().double().requires_grad_(False)
    model.qkv.weight.copy_(torch.randn(6, 3, generator=rng))
    model.qkv.bias.copy_(torch.randn(6, generator=rng))
    images = torch.randn(10, 3, 2, 2, generator=rng).double()

    def place(index: int) -> Place:
        own = (("qkv.weight", (index, 3)), ("qkv.bias", (index, 3)))
        return Place(Port("qkv", "in"), Port("qkv", "out", (index, 3)), None, 3, 2, own)

    sites = [Site(0, name) for name in "qkv"]
    backbone = Backbone(
        model=model,
        name="toy",
        blocks=("qkv",),
        labels=("0",),
        num_prefix_tokens=0,
        places={site: place(index) for index, site in enumerate(sites)},
        outside=(),
        input_spec=InputSpec(2, (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0),
        num_features=2,
        hash="toy",
    )

    def batch(start: int, stop: int) -> Batch:
        rows = torch.arange(start, min(stop, len(images)))
        return Batch({"images": images[rows]}, rows, rows)

    def loss(logits: Any, labels: Any) -> Any:
        return logits.square().sum(-1).mean() / 2

    scorer = Scorer(backbone, nn.Identity(), loss, batch, len(images))
    x = torch.cat([images.mean((2, 3)), torch.ones(10, 1)], dim=1)  # a bias is the weight of a 1
    f = model(images)
    gradients = torch.einsum("bi,bj->bij", f, x)  # of every image, for q
    return SimpleNamespace(
        ground=Ground(["0"], list("qkv"), sites, scorer), sites=sites, gradients=gradients, x=x, model=model
    )
