"""What one run trains on a frozen backbone: deltas, gamma, gates, selected weights and a head."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.network.anchor import Anchor, site_key
from peftlab.network.selected import Selected
from peftlab.peft.context import Context
from peftlab.peft.delta import Delta, Nested, Reparametrised
from peftlab.peft.view import Widths
from peftlab.scaling.gamma import Scaling
from peftlab.site import Site

Sampler = Callable[[torch.Generator], Widths]  # the sub-network of a training step
State = dict[str, Tensor]


class Cell(nn.Module):
    """Everything that belongs to one run and nothing that runs share; `forward` is that of a network with this cell alone.

    theta is what the task optimizer owns; gamma is never in it, and the backbone is no part of a cell at all.
    """

    def __init__(
        self,
        anchors: Sequence[Anchor],
        scaling: Scaling,
        selected: Selected,
        head: nn.Module,
        sampler: Sampler | None = None,
    ) -> None:
        super().__init__()
        self.deltas = nn.ModuleDict({anchor.key: anchor.delta for anchor in anchors})
        self.gamma = scaling.gamma
        self.gates = nn.ModuleDict({site_key(site): gate for site, gate in scaling.gates.items()})
        self.selected = selected
        self.head = head
        self.anchors = tuple(anchors)
        self._sampler = sampler  # of a supernet

    def forward(self, network: Any, inputs: dict[str, Tensor], **now: Any) -> Float[Tensor, "b c"]:
        """The head's output; `now` as in `Pass`. So that `functional_call` can put other values in a cell's place."""
        return network.outputs([self], inputs, [now])[0]

    @property
    def sites(self) -> list[Site]:
        """From the bottom up."""
        return [anchor.site for anchor in self.anchors]

    def delta_at(self, site: Site) -> Delta:
        """The delta of a site."""
        delta = self.deltas[site_key(site)]
        assert isinstance(delta, Delta)
        return delta

    def gate_at(self, site: Site) -> nn.Module | None:
        """The gate of a site, if it has one."""
        key = site_key(site)
        if key not in self.gates:
            return None
        return self.gates[key]

    def context(self) -> list[nn.Parameter]:
        """The trained vectors around the names of classes."""
        deltas = [anchor.delta for anchor in self.anchors if isinstance(anchor.delta, Context)]
        return [value for delta in deltas for value in delta.vectors()]

    def sample(self, rng: torch.Generator) -> Widths:
        """The widths that a training step works at, for the methods that sample (DyLoRA's rank, a supernet's sub-network)."""
        u = torch.rand((), generator=rng).item()
        widths = {
            anchor.site: anchor.delta.sample(u) for anchor in self.anchors if isinstance(anchor.delta, Nested)
        }
        return {**widths, **({} if self._sampler is None else self._sampler(rng))}

    def at(self, width: int) -> Widths:
        """Every nested site (DyLoRA) at this width, or at its own largest where that is smaller."""
        nested = [anchor for anchor in self.anchors if isinstance(anchor.delta, Nested)]
        return {anchor.site: min(width, anchor.delta.width) for anchor in nested}

    @property
    def nested_width(self) -> int:
        """The largest width of the nested sites; 0 if there is none."""
        return max(
            (anchor.delta.width for anchor in self.anchors if isinstance(anchor.delta, Nested)), default=0
        )

    def after_training(self) -> dict[Site, dict[str, Any]]:
        """The options that a site of `state(finished=True)` is built with, where they differ from those it is trained with."""
        return {
            anchor.site: anchor.delta.after_training
            for anchor in self.anchors
            if isinstance(anchor.delta, Reparametrised)
        }

    @property
    def is_identity(self) -> bool:
        """Whether the network equals the frozen one at the start, by the definition of its methods."""
        return all(anchor.delta.is_identity for anchor in self.anchors)

    def theta(self) -> dict[str, nn.Parameter]:
        """What the task optimizer owns: deltas, gates, selected weights and head; never gamma."""
        return {
            name: value
            for name, value in self.named_parameters()
            if value.requires_grad and not name.startswith("gamma.")
        }

    def theta_by_kind(self) -> dict[str, list[nn.Parameter]]:
        """theta as optimizers take it: weights (deltas, head), gates (and temperatures), selected weights."""
        gates = tuple(f"deltas.{anchor.key}." for anchor in self.anchors if anchor.delta.is_gate)
        kinds: dict[str, list[nn.Parameter]] = {"weights": [], "gates": [], "selected": []}
        for name, value in self.theta().items():
            is_gate = name.startswith(("gates.", *gates))
            kind = "gates" if is_gate else "selected" if name.startswith("selected.") else "weights"
            kinds[kind].append(value)
        return kinds

    def state(self, *, finished: bool = False) -> State:
        """theta, gamma if it is trained, what deltas keep beside their parameters, and the positions of masked weights.

        `finished`: deltas in their form after training.
        """
        values: State = {name: value.detach() for name, value in self.theta().items()}
        for key, delta in self.deltas.items() if finished else ():
            if isinstance(delta, Reparametrised):
                mine = f"deltas.{key}."
                values = {name: value for name, value in values.items() if not name.startswith(mine)}
                values |= {f"{mine}{name}": value.detach() for name, value in delta.finished().items()}
        values |= {name: value.detach() for name, value in self._kept().items()}
        values |= {f"index.{key}": value for key, value in self.selected.indices().items()}
        return values | ({} if self.gamma.raw is None else {"gamma.raw": self.gamma.raw.detach()})

    @torch.no_grad()
    def load_state(self, state: State) -> None:
        """The inverse of `state`, in place; a state that is refused changes nothing.

        Raises:
            UserError: for any key that is missing or too many, a tensor of another shape, or another mask.
        """
        own: State = {**self.theta(), **({} if self.gamma.raw is None else {"gamma.raw": self.gamma.raw})}
        own |= self._kept()
        own |= {f"index.{key}": value for key, value in self.selected.indices().items()}
        missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or extra:
            raise UserError(
                f"the saved adapter does not fit the model: missing {missing[:3]}, not in the model {extra[:3]}"
            )
        for name, value in own.items():
            if value.shape != state[name].shape:
                raise UserError(
                    f"the saved {name} has shape {tuple(state[name].shape)}, the model's has {tuple(value.shape)}"
                )
            if name.startswith("index.") and not torch.equal(value, state[name].to(value)):
                raise UserError(f"the saved {name} is another mask than the model's")
        for name, value in own.items():
            value.copy_(state[name])

    def _kept(self) -> State:
        """The persistent buffers of the deltas (PiSSA's start, VeRA's projections), each once: sites may share them; and of the head."""
        owners = {"deltas": self.deltas, "head": self.head}
        saved = {name: owner.state_dict().keys() for name, owner in owners.items()}
        return {
            f"{own}.{name}": value
            for own, owner in owners.items()
            for name, value in owner.named_buffers()
            if name in saved[own]
        }

    def num_parameters(self) -> dict[str, int]:
        """Trainable parameters by owner."""
        owners = {"delta": self.deltas, "gamma": self.gamma, "gate": self.gates, "selected": self.selected}
        return {
            name: sum(value.numel() for value in owner.parameters())
            for name, owner in {**owners, "head": self.head}.items()
        }
