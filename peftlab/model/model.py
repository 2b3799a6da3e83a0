"""A frozen network and one cell as a module of torch, for people with their own loop."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.network.cell import Cell, State
from peftlab.network.network import Network
from peftlab.peft.delta import Delta
from peftlab.peft.view import Widths
from peftlab.scaling.gamma import Gamma
from peftlab.site import Site


class Model(nn.Module):
    """outputs = head(features of the frozen backbone with the cell's sites in it).

    `theta()` is what an optimizer takes, `gamma` has one of its own, `state()` is all that is trained. Called with the
    backbone's own input (`model(images)`), or with inputs by name. The backbone is frozen; its mode and its hooks stay
    its owner's. `widths` is how much of a nested or elastic site works, by default all of it.
    """

    def __init__(self, backbone: Backbone, cell: Cell) -> None:
        super().__init__()
        self.backbone = backbone.model
        self.cell = cell
        self.network = Network(backbone)
        self.widths: Widths = {}

    def train(self, mode: bool = True) -> "Model":
        """The cell's dropout is on or off; the backbone runs in eval mode always, and keeps the mode that it is in."""
        self.training = mode
        self.cell.train(mode)
        return self

    def forward(self, *args: Tensor, **inputs: Tensor) -> Float[Tensor, "b c"]:
        """The head's output."""
        return self.network.outputs([self.cell], self._inputs(args, inputs), [{"widths": self.widths}])[0]

    def features(self, *args: Tensor, **inputs: Tensor) -> Float[Tensor, "b d"]:
        """Pooled features after the last norm."""
        return self.network.features([self.cell], self._inputs(args, inputs), [{"widths": self.widths}])[0]

    @torch.no_grad()
    def ratios(self, *args: Tensor, **inputs: Tensor) -> dict[Site, Tensor]:
        """||gamma delta|| / ||f|| of each site for these inputs."""
        norms: dict[Site, Tensor] = {}
        now = {"widths": self.widths, "norms": norms}
        self.network.features([self.cell], self._inputs(args, inputs), [now])
        return norms

    def at(self, width: int) -> None:
        """Let every nested site (DyLoRA) work at this width, or at its own largest where that is smaller."""
        self.widths = self.cell.at(width)

    def use(self, widths: Widths) -> None:
        """The sub-network that works: how much of each elastic site's width, by default all."""
        self.widths = widths

    @property
    def gamma(self) -> Gamma:
        """How strongly each site acts; `gamma.raw` is its parameter, None if it is fixed."""
        return self.cell.gamma

    @property
    def deltas(self) -> nn.ModuleDict:
        """By site: `0_q`."""
        return self.cell.deltas

    @property
    def head(self) -> nn.Module:
        """From features to outputs."""
        return self.cell.head

    @property
    def sites(self) -> list[Site]:
        """From the bottom up."""
        return self.cell.sites

    def delta_at(self, site: Site) -> Delta:
        """The delta of a site."""
        return self.cell.delta_at(site)

    def theta(self) -> dict[str, nn.Parameter]:
        """What the task optimizer owns: deltas, gates, selected weights and head; never gamma, never the backbone."""
        return self.cell.theta()

    def state(self) -> State:
        """theta, gamma if it is trained, and the positions of masked weights."""
        return self.cell.state()

    def load_state(self, state: State) -> None:
        """The inverse of `state`."""
        self.cell.load_state(state)

    def num_parameters(self) -> dict[str, int]:
        """Trainable parameters by owner, and the size of the frozen backbone."""
        frozen = sum(value.numel() for value in self.backbone.parameters())
        return {**self.cell.num_parameters(), "backbone": frozen}

    def _inputs(self, args: tuple[Tensor, ...], inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        names = self.network.backbone.input_spec.example()
        return {**dict(zip(names, args, strict=False)), **inputs}
