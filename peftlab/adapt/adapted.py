"""A frozen backbone with its deltas, its gamma, its selected weights and a head: the model that is trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from peftlab.adapt.attachment import Anchor, Attachment
from peftlab.adapt.selection import Selection
from peftlab.backbone.backbone import Backbone
from peftlab.errors import UserError
from peftlab.scaling.gamma import Gamma
from peftlab.site import Site


class Adapted(nn.Module):
    """logits = head(features of the backbone, with write <- write + gamma delta(read) at every site).

    Source: He et al. 2022, arXiv:2110.04366; Tian et al. 2025, arXiv:2603.01759 (gamma).
    """

    def __init__(
        self,
        backbone: Backbone,
        anchors: list[Anchor],
        gamma: Gamma,
        selected: list[tuple[str, tuple[int, int]]],
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.backbone = backbone.model
        self.deltas = nn.ModuleDict({delta_name(anchor.site): anchor.delta for anchor in anchors})
        self.gamma = gamma
        self.selected = Selection(backbone.model, selected)
        self.head = head
        self.attachment = Attachment(backbone.model, anchors)
        self.sites = [anchor.site for anchor in anchors]
        self._probe(backbone)
        self.train()

    def train(self, mode: bool = True) -> "Adapted":
        """Deltas and head switch (their dropout); the frozen backbone stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Pooled features after the last norm."""
        self.attachment.scales = self.gamma.scales()
        weights = self.selected.weights()
        if weights:
            return functional_call(self.backbone, weights, (images,))
        return self.backbone(images)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Class logits."""
        return self.head(self.features(images))

    def theta(self) -> dict[str, nn.Parameter]:
        """What the task optimizer owns: deltas, selected weights and head; never gamma, never the backbone."""
        return {
            name: value
            for name, value in self.named_parameters()
            if value.requires_grad and not name.startswith(("gamma.", "backbone."))
        }

    def num_parameters(self) -> dict[str, int]:
        """Trainable parameters by owner, and the size of the frozen backbone."""
        count = {name: sum(value.numel() for value in getattr(self, name).parameters()) for name in _OWNERS}
        return {"delta" if name == "deltas" else name: number for name, number in count.items()}

    @contextmanager
    def measure(self) -> Iterator[dict[Site, Tensor]]:
        """Inside, every forward notes ||gamma delta|| / ||f|| per site in the dict that is given out."""
        self.attachment.norms = {}
        try:
            yield self.attachment.norms
        finally:
            self.attachment.norms = None

    def _probe(self, backbone: Backbone) -> None:
        size, device = backbone.input_spec.size, next(self.backbone.parameters()).device
        self.to(device)
        try:
            with torch.no_grad(), self.measure() as norms:
                self.features(torch.zeros(1, 3, size, size, device=device))
            silent = [str(site) for site in self.sites if site not in norms]
            if silent:
                raise UserError(
                    f"placement: {backbone.name} never calls the modules of the sites {', '.join(silent[:6])}; its forward"
                    " bypasses them, so nothing would be trained there"
                )
        except Exception:
            self.attachment.detach()
            raise


_OWNERS = ("deltas", "gamma", "selected", "head", "backbone")


def delta_name(site: Site) -> str:
    """The key of a site in state dicts, where a dot would separate modules: `3_q`."""
    return f"{site.block}_{site.position}"
