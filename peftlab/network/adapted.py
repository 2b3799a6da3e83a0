"""A frozen backbone with its deltas, its gamma, its gates, its selected weights and a head: the model that is trained."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from peftlab.backbone.backbone import Backbone
from peftlab.errors import UserError
from peftlab.network.attachment import Anchor, Attachment
from peftlab.network.selected import Selection
from peftlab.peft.delta import Delta
from peftlab.peft.weights import Chosen
from peftlab.scaling.gamma import Scaling
from peftlab.site import Site

Widths = Mapping[Site, int]  # `Delta.active` of some sites
Sampler = Callable[[torch.Generator], Widths]  # the sub-network of a training step


class Adapted(nn.Module):
    """logits = head(features of the backbone, with write <- write + gamma delta(read) at every site).

    Source: He et al. 2022, arXiv:2110.04366; Tian et al. 2025, arXiv:2603.01759 (gamma).
    """

    def __init__(
        self,
        backbone: Backbone,
        anchors: list[Anchor],
        scaling: Scaling,
        chosen: Chosen,
        head: nn.Module,
        sampler: Sampler | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone.model
        self.deltas = nn.ModuleDict({site_key(anchor.site): anchor.delta for anchor in anchors})
        self.gamma = scaling.gamma
        self.gates = nn.ModuleDict({site_key(site): gate for site, gate in scaling.gates.items()})
        self.selected = Selection(backbone.model, chosen)
        self.head = head
        self.attachment = Attachment(backbone, anchors, scaling.gates, scaling.gamma.ones)
        self.sites = [anchor.site for anchor in anchors]
        self._sampler = sampler  # of a supernet
        self._drawn: Widths = {}
        self._chosen: Widths = {}
        self._probe(backbone)
        self.train()

    def train(self, mode: bool = True) -> "Adapted":
        """Deltas and head switch (their dropout, their draws); the frozen backbone stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        self._activate()
        return self

    def use(self, widths: Widths) -> None:
        """The sub-network outside training: how much of each elastic site's width works, by default all."""
        self._chosen = widths
        self._activate()

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

    def delta_at(self, site: Site) -> Delta:
        """The delta of a site."""
        delta = self.deltas[site_key(site)]
        assert isinstance(delta, Delta)
        return delta

    def draw(self, rng: torch.Generator) -> None:
        """What this training step trains, for the methods that sample (DyLoRA's rank, a supernet's sub-network)."""
        common = torch.rand((), generator=rng).item()
        for site in self.sites:
            self.delta_at(site).draw(common, torch.rand((), generator=rng).item())
        if self._sampler is not None:
            self._drawn = self._sampler(rng)
            self._activate()

    def at(self, width: int) -> None:
        """Let every nested site (DyLoRA) work at this width, or at its own largest where that is smaller."""
        for site in self.sites:
            delta = self.delta_at(site)
            if delta.is_nested:
                delta.at(min(width, delta.width))

    @property
    def nested_width(self) -> int:
        """The largest width of the nested sites; 0 if there is none."""
        deltas = [self.delta_at(site) for site in self.sites]
        return max((delta.width for delta in deltas if delta.is_nested), default=0)

    @property
    def is_identity(self) -> bool:
        """Whether the model equals the frozen one at the start, by the definition of its methods."""
        return all(self.delta_at(site).is_identity for site in self.sites)

    def theta(self) -> dict[str, nn.Parameter]:
        """What the task optimizer owns: deltas, gates, selected weights and head; never gamma, never the backbone."""
        return {
            name: value
            for name, value in self.named_parameters()
            if value.requires_grad and not name.startswith(("gamma.", "backbone."))
        }

    def finished(self) -> dict[str, Tensor]:
        """theta as it is saved: each delta in its form after training."""
        values = {
            name: value.detach() for name, value in self.theta().items() if not name.startswith("deltas.")
        }
        for key, delta in self.deltas.items():
            assert isinstance(delta, Delta)
            with torch.no_grad():
                values |= {f"deltas.{key}.{name}": value.detach() for name, value in delta.finished().items()}
        return values

    def num_parameters(self) -> dict[str, int]:
        """Trainable parameters by owner, and the size of the frozen backbone."""
        count = {name: sum(value.numel() for value in getattr(self, name).parameters()) for name in _OWNERS}
        return {_OWNERS[name]: number for name, number in count.items()}

    @contextmanager
    def measure(self) -> Iterator[dict[Site, Tensor]]:
        """Inside, every forward notes ||gamma delta|| / ||f|| per site in the dict that is given out."""
        self.attachment.norms = {}
        try:
            yield self.attachment.norms
        finally:
            self.attachment.norms = None

    def _activate(self) -> None:
        widths = self._drawn if self.training else self._chosen
        for site in self.sites:
            self.delta_at(site).active = widths.get(site)

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


_OWNERS = {
    "deltas": "delta",
    "gamma": "gamma",
    "gates": "gate",
    "selected": "selected",
    "head": "head",
    "backbone": "backbone",
}


def site_key(site: Site) -> str:
    """The key of a site in state dicts, where a dot would separate modules: `3_q`."""
    return f"{site.block}_{site.position}"
