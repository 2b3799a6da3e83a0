"""What another run ended with, as the start of this one."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.build.experiment import Experiment
from peftlab.build.scorer import Scorer
from peftlab.config.place import Placed, place, saved_places
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.fit.average import Average
from peftlab.network.cell import Cell


@dataclass(frozen=True)
class Ended:
    """What another run trained, what belongs to it, and the `_target_` of its head."""

    folder: str
    tensors: dict[str, Tensor]
    card: dict[str, Any]
    head: str

    @property
    def masks(self) -> dict[str, Tensor]:
        """The positions of masked weights that it chose, by weight."""
        return {key[6:]: value for key, value in self.tensors.items() if key.startswith("index.")}

    def place(self, resolved: Resolved, backbone: Backbone, scorer: Scorer | None) -> Placed:
        """Its sites. Where this run chooses its own by what it measures, they are these; where it names them, it names the same.

        Raises:
            UserError: for another backbone, or other sites.
        """
        if backbone.hash != self.card["backbone_hash"]:
            raise UserError(
                f"{self._said} was trained on {self.card['backbone']} with hash {self.card['backbone_hash'][:12]}, and this run is on"
                f" {backbone.name} with hash {backbone.hash[:12]}; legal: the same backbone"
            )
        found = saved_places(self.card["cells"])
        labels, positions = backbone.labels, backbone.positions
        own = place(resolved, labels, positions, is_known=False, places=backbone.places)
        if found.parts.keys() != own.parts.keys():
            raise UserError(
                f"{self._said} has {', '.join(found.parts)}, and this run {', '.join(own.parts)}; legal: a run of the same method"
            )
        if not own.is_open and own.sites != found.sites:
            site, where = min((str(site), site in found.sites) for site in own.sites ^ found.sites)
            raise UserError(
                f"{self._said} {'acts' if where else 'does not act'} at {site}, and this run does{' not' if where else ''}; legal: a run"
                " with the same sites"
            )
        return found

    def load(self, experiment: Experiment) -> bool:
        """What it trained, into the cell of a run; whether its head, too, which it is for the same classes.

        Raises:
            UserError: if the two do not fit.
        """
        cell, resolved = experiment.cell, experiment.resolved
        own = {name: value for name, value in cell.state().items() if name.startswith("head.")}
        names = list(getattr(experiment.trunk.dataset, "class_names", ()))
        is_same = self.head == resolved.head.target and self.card["class_names"] == names
        heads = {name: self._head(name, value, is_same) for name, value in own.items()}
        others = {name: value for name, value in self.tensors.items() if not name.startswith("head.")}
        try:
            cell.load_state({**others, **heads})
        except UserError as error:
            raise UserError(
                f"{self._said}: {error}; legal: a run of the same method, with its ranks and its scaling"
            ) from error
        if experiment.learner.average is not None and resolved.fit.ema is not None:
            experiment.learner.average = Average(resolved.fit.ema, cell.state())
        return is_same

    def _head(self, name: str, own: Tensor, is_same: bool) -> Tensor:
        """A number that belongs to no class is taken with any classes, as the temperature of two towers."""
        found = self.tensors.get(name)
        fits = found is not None and found.shape == own.shape and (is_same or own.ndim == 0)
        return found if found is not None and fits else own

    @property
    def _said(self) -> str:
        return f"fit.start_from={self.folder}"


def started(ended: Ended, cell: Cell, *, has_head: bool) -> str:
    """What is said of a cell that has begun there."""
    head = "with its head" if has_head else "with a head of this run's own, for other classes"
    return f"from {ended.folder}: {len(cell.sites)} sites, {head if list(cell.head.parameters()) else 'no head is trained'}"
