"""A frozen backbone that is run with the sites of one cell or of several in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.errors import UserError
from peftlab.network.acts import Acts, acts_of, sources_of
from peftlab.network.below import Below, first_block
from peftlab.network.cell import Cell
from peftlab.network.classes import Classes
from peftlab.network.forward import Norms, Pass
from peftlab.network.recompute import recomputed
from peftlab.network.rows import Rows, nested
from peftlab.network.tokens import check_prompts, prompts_of
from peftlab.peft.view import Widths

Now = Mapping[str, Any]  # `rng`, `widths` and `norms` of a Pass
Reader = Callable[..., Tensor]


class Network:
    """outputs = head(features of the backbone, with write <- write + gamma delta(read) at every site).

    Nothing of a cell stays on the backbone: what takes the place of a module's forward does so during a forward only,
    so several networks can share a backbone, and other people's hooks on it go on working. The backbone runs in eval
    mode whatever mode it is in.

    Source: He et al. 2022, arXiv:2110.04366; Tian et al. 2025, arXiv:2603.01759 (gamma).
    """

    def __init__(
        self, backbone: Backbone, num_together: int | None = None, *, checkpointing: bool = False
    ) -> None:
        """`num_together`: how many cells share a forward in training; None is all of them. With 1 each has a forward of its
        own, which begins at its first site: what is below is run once for a batch. With `checkpointing` each has one of its own,
        too, and of the blocks from its first site on what enters them is all that is kept for backward."""
        self.backbone = backbone
        self.num_together = num_together
        self.checkpointing = checkpointing
        self._modules = dict(backbone.model.named_modules())
        shares = num_together is not None and not self._is_staged
        self._below = Below(backbone, self._installed) if shares else None
        self._classes = Classes(backbone)

    @property
    def _is_staged(self) -> bool:
        """Whether there is more between blocks than the tokens that one hands to the next."""
        return "." in self.backbone.labels[0]

    def outputs(
        self, cells: Sequence[Cell], inputs: dict[str, Tensor], nows: Sequence[Now] | None = None
    ) -> list[Tensor]:
        """The head's output of each cell."""
        features = self.features(cells, inputs, nows)
        return [cell.head(own) for cell, own in zip(cells, features, strict=True)]

    def groups(self, cells: Sequence[Cell]) -> list[list[int]]:
        """Which cells share a forward in training, by their places in the list; what joins lower comes first."""
        order = sorted(range(len(cells)), key=lambda place: first_block(cells[place], self.backbone))
        size = self.num_together or len(cells)
        if size == 1 or self.checkpointing:
            return [[place] for place in order]
        joint = [place for place in order if self._why_apart(cells[place]) is None]
        apart = [[place] for place in order if place not in joint]
        return [joint[at : at + size] for at in range(0, len(joint), size)] + apart

    def features(
        self, cells: Sequence[Cell], inputs: dict[str, Tensor], nows: Sequence[Now] | None = None
    ) -> list[Tensor]:
        """The pooled features of each cell, `[b, num_features]`; `nows` says of each what `Pass` takes.

        Raises:
            UserError: for several cells of which one cannot share a forward.
        """
        texts, is_whole = self.backbone.texts, any(now.get("norms") is not None for now in nows or [])
        if texts is not None and texts.per_image and not is_whole and not torch.is_grad_enabled():
            parts = texts.parts(inputs)
            if len(parts) > 1:
                found = [self.features(cells, part, nows) for part in parts]
                return [torch.cat(own) for own in zip(*found, strict=True)]
        more: Now = {
            "masks": self.backbone.masks_at(inputs),
            "prefix_at": self.backbone.prefix_at,
            "context": self.backbone.context(inputs),
            "num_frames": self.backbone.num_frames(inputs),
        }
        runs = [Pass(cell, **now, **more) for cell, now in zip(cells, nows or [{}] * len(cells), strict=True)]
        with _evaluating(self._modules.values()):
            if len(runs) == 1:
                return [self._one(runs[0], inputs)]
            return self._several(runs, inputs)

    def reader(self, cell: Cell, widths: Widths) -> tuple[Reader, Callable[[], Any] | None]:
        """The features of one cell, `features(inputs, kept)`, and what makes a cache for a text that is read on; None where each
        token has to be read again with all before it."""

        def features(inputs: dict[str, Any], kept: dict[Any, Tensor] | None = None) -> Tensor:
            return self.features([cell], inputs, [{"widths": widths, "kept": kept}])[0]

        return features, self.backbone.new_cache if self.reads_on(cell) else None

    def reads_on(self, cell: Cell) -> bool:
        """Whether its network can go on from what it has kept of the tokens before: prompts stand anew before all of them, unless
        it is an encoder that they stand in."""
        return self.backbone.decoder is not None or all(
            anchor.writes.side != "tokens" for anchor in cell.anchors
        )

    def check(self, cell: Cell) -> None:
        """Every site of the cell acts in a forward.

        Raises:
            UserError: if a module is never called, or prompts cannot stand where they are placed.
        """
        check_prompts(list(cell.anchors))
        device = next(self.backbone.model.parameters()).device
        example = {name: value.to(device) for name, value in self.backbone.input_spec.example().items()}
        norms: Norms = {}
        with torch.no_grad():
            self.features([cell], example, [{"norms": norms}])
        labels = self.backbone.labels
        silent = [f"{labels[site.block]}.{site.position}" for site in cell.sites if site not in norms]
        if silent:
            more = "; texts are read with task=contrast" if self.backbone.towers else ""
            raise UserError(
                f"placement: {self.backbone.name} never calls the modules of the sites {', '.join(silent[:6])}; its forward"
                f" bypasses them, so nothing would be trained there{more}"
            )

    def _one(self, run: Pass, inputs: dict[str, Tensor]) -> Tensor:
        acts = acts_of(run, self._modules)
        acts |= sources_of(run, self._modules, acts)
        # a cache is read and written by each block once
        if self._below is not None and not self.backbone.has_cache(inputs):
            acts |= self._below.acts(run.cell, inputs)
        acts |= self._classes.acts(run)
        for name, own in prompts_of(run, self.backbone, self._modules).items():
            acts.setdefault(name, []).extend(own)
        weights = run.cell.selected.weights()
        if self.checkpointing and not self.backbone.has_cache(inputs):
            act = recomputed(run, self.backbone.model, weights, partial(self._again, dict(acts)))
            for name in self.backbone.blocks[first_block(run.cell, self.backbone) :]:
                acts[name] = [*acts.get(name, []), act]
        with self._installed(acts):
            return self.backbone.features(inputs, weights)

    @contextmanager
    def _again(self, acts: Acts) -> Iterator[None]:
        """Inside, the modules do what they did in the forward, while its backward runs."""
        with _evaluating(self._modules.values()), self._installed(acts):
            yield

    def _several(self, runs: Sequence[Pass], inputs: dict[str, Tensor]) -> list[Tensor]:
        for run in runs:
            self._check_several(run.cell)
        joins = [min((site.block for site in run.cell.sites), default=None) for run in runs]
        rows = Rows(joins, self.backbone.depth)
        by_module: dict[str, dict[int, Any]] = {}
        for index, run in enumerate(runs):
            for name, own in acts_of(run, self._modules).items():
                by_module.setdefault(name, {})[index] = own
        acts: Acts = {name: [partial(rows.act, own)] for name, own in by_module.items()}
        for index, name in enumerate(self.backbone.blocks):
            acts.setdefault(name, []).append(partial(rows.through, index))
        with self._installed(acts):
            return rows.split(self.backbone.features(inputs))

    def _check_several(self, cell: Cell) -> None:
        why = self._why_apart(cell)
        if why is not None:
            raise UserError(
                f"a cell with {why} cannot share a forward with others; legal: additive methods without prompts on one stack"
                " of blocks"
            )

    def _why_apart(self, cell: Cell) -> str | None:
        """What keeps a cell from sharing a forward, if anything does."""
        if self._is_staged:
            return "stages of blocks"
        if any(anchor.writes.side == "tokens" for anchor in cell.anchors):
            return "prompts"
        return "selected weights" if cell.selected.weights() else None

    @contextmanager
    def _installed(self, acts: Acts) -> Iterator[None]:
        """Inside, every module has its acts around its forward."""
        modules = {name: self._modules[name] for name in acts}
        before = {name: module.__dict__.get("forward") for name, module in modules.items()}
        try:
            for name, module in modules.items():
                module.__dict__["forward"] = nested(acts[name], module.forward)
            yield
        finally:
            for name, module in modules.items():
                module.__dict__.pop("forward", None)
                if before[name] is not None:
                    module.__dict__["forward"] = before[name]


@contextmanager
def _evaluating(modules: Any) -> Iterator[None]:
    """Inside, all modules are in eval mode; each is in its own mode again afterwards."""
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
