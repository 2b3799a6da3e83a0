"""What can be measured of the frozen backbone with the head at its start, before anything is trained."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.plain import plain
from peftlab.build.coupling import Piece, effects, left_over, wanted_of
from peftlab.build.feature_norm import feature_norms
from peftlab.build.mean_square import mean_squares
from peftlab.build.residual_norm import least_squares, residual_norm, second_moments
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.site import LINEAR, MEMBERS, Site

# whose weights a place without any of its own is scored by
WEIGHTS = {**MEMBERS, "kv": ("k", "v"), "xkv": ("xk", "xv"), "tokens": LINEAR}


class Scorer:
    """Gradients and activations on training items without augmentation, in an order of their own.

    `batch(start, stop)` gives the items start..stop of that order, on the device.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        loss: Loss,
        batch: Callable[[int, int], Batch],
        num_items: int,
    ) -> None:
        self.backbone, self.head, self.loss = backbone, head, loss
        self.num_items = num_items
        self._batch = batch

    def batches(self, num: int, size: int) -> Iterator[Batch]:
        """The first `num` items (as many as there are) in batches of `size`."""
        stop = min(num, self.num_items)
        for start in range(0, stop, size):
            yield self._batch(start, min(start + size, stop))

    def gradients(self, num: int, size: int = 1) -> Iterator[dict[str, Tensor]]:
        """For each batch, by default of one item, the gradient of the mean loss by parameter of the backbone.

        A parameter that the loss does not depend on has a gradient of zeros.
        """
        for batch in self.batches(num, size):
            values, logits = self._logits(batch)
            with torch.enable_grad():
                loss = self.loss(logits, batch.targets)
            yield _gradient(loss, values, is_last=True)

    def class_gradients(self, num: int) -> Iterator[dict[str, Tensor]]:
        """For each of the first `num` items and each class y: sqrt(p(y|x)) times the gradient of log p(y|x).

        p is the softmax of the logits. The sum of the squares is the diagonal of the Fisher information, times `num`.
        """
        for batch in self.batches(num, 1):
            values, logits = self._logits(batch)
            with torch.enable_grad():
                log_p = logits.log_softmax(-1)[0]
                terms = ((log_p / 2).exp().detach() * log_p).unbind()
            for index, term in enumerate(terms):
                yield _gradient(term, values, is_last=index + 1 == len(terms))

    def squared_gradients(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """sum over batches of sum_w (dL_batch / dw)^2 over the weights w of each site, on the first `num` items."""
        pieces = {site: self._pieces(site) for site in sites}
        totals = {piece: torch.zeros((), dtype=torch.float64) for own in pieces.values() for piece in own}
        for grads in self.gradients(num, size):
            for piece in totals:
                totals[piece] = (
                    totals[piece].to(grads[piece[0]].device) + _part(grads, piece).double().square().sum()
                )
        return {site: sum(totals[piece].item() for piece in own) for site, own in pieces.items()}

    def mean_gradient_norms(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """The norm of dL / dW at each site, L the mean loss over the first `num` items."""
        pieces = {site: self._pieces(site) for site in sites}
        means = self._mean_gradients({name for own in pieces.values() for name, _ in own}, num, size)
        squares = {
            piece: _part(means, piece).double().square().sum().item()
            for own in pieces.values()
            for piece in own
        }
        return {site: sum(squares[piece] for piece in own) ** 0.5 for site, own in pieces.items()}

    def _mean_gradients(self, names: Collection[str], num: int, size: int) -> dict[str, Tensor]:
        """dL / dw of these parameters, L the mean loss over the first `num` items."""
        total = min(num, self.num_items)
        means: dict[str, Tensor] = {}
        for number, grads in enumerate(self.gradients(num, size)):
            share = min(size, total - number * size) / total  # the last batch may be smaller
            for name in names:
                means[name] = share * grads[name] + means.get(name, 0)
        return means

    def num_weights(self, site: Site) -> int:
        """How many frozen weights a site is scored by."""
        return sum(self._frozen(piece).numel() for piece in self._pieces(site))

    def energies(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, tuple[float, float]]:
        """The mean squares of what each site reads and of what it writes, over items, tokens and channels."""
        ends = {}
        for site in sites:
            place = self.backbone.place(site)
            heads = {"kv": "out", "xkv": "xout"}.get(site.position)  # what the heads give is what W_o reads
            wrote = self.backbone.place(Site(site.block, heads)).input if heads else place.output
            ends[site] = (place.input, place.input if site.position == "tokens" else wrote)
        ports = {port: site for site, pair in ends.items() for port in pair}
        found = mean_squares(self.backbone, ports, self._inputs(num, size))
        return {site: (found[read], found[wrote]) for site, (read, wrote) in ends.items()}

    def feature_norms(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """The mean over the tokens of `num` items of sqrt(n) ||W z|| / (||W||_F ||z||), W [m, n] a linear layer that reads z.

        Of a site of several linear layers the mean of theirs.
        """
        layers = {site: self._layers(site) for site in sites}
        matrices = {layer: self._matrix(layer) for own in layers.values() for layer in own}
        found = feature_norms(self.backbone, matrices, self._inputs(num, size))
        return {site: fmean(found[layer] for layer in own) for site, own in layers.items()}

    def condition_numbers(self, sites: Sequence[Site]) -> dict[Site, float]:
        """sigma_max / sigma_min of the matrix of each site, in float64; inf where sigma_min is 0.

        Of a site of several linear layers the geometric mean of theirs.
        """
        layers = {site: self._layers(site) for site in sites}
        found = {layer: _condition(self._matrix(layer)) for own in layers.values() for layer in own}
        return {
            site: math.prod(found[layer] for layer in own) ** (1 / len(own)) for site, own in layers.items()
        }

    def residual_norms(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """||G S^(-1/2)|| at each site, G = dL / dW, L the mean loss over the first `num` items, and S the second moment of what W reads.

        Of a site of several linear layers the root of the sum of their squares.
        """
        layers, measured = self._residuals(sites, num, size)
        found = {layer: residual_norm(*own) for layer, own in measured.items()}
        return {site: math.hypot(*(found[layer] for layer in own)) for site, own in layers.items()}

    def left_over(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """The norm of what the loss still wants of the logits of `num` items when each site is taken, one after the other.

        A site takes what a small step of its weights, to least squares of the residuals there, does to the logits.
        """
        layers, measured = self._residuals(sites, num, size)
        steps = {layer: least_squares(*own) for layer, own in measured.items()}
        batches = list(self.batches(num, size))

        def logits(weights: dict[str, Tensor], batch: Batch) -> Tensor:
            found: Tensor = self.head(self.backbone.features(batch.inputs, weights))
            return found

        wanted = wanted_of(partial(logits, {}), self.loss, batches)
        moves = {
            site: {self._matrix_piece(layer): steps[layer] for layer in own} for site, own in layers.items()
        }
        return left_over(wanted, effects(self.backbone.model, moves, logits, batches))

    def _residuals(
        self, sites: Sequence[Site], num: int, size: int
    ) -> tuple[dict[Site, list[Site]], dict[Site, tuple[Tensor, Tensor]]]:
        """The linear layers of each site, and of each layer dL / dW and the second moment of what W reads."""
        layers = {site: self._layers(site) for site in sites}
        every = list(dict.fromkeys(layer for own in layers.values() for layer in own))
        pieces = {layer: self._matrix_piece(layer) for layer in every}
        gradients = self._mean_gradients({name for name, _ in pieces.values()}, num, size)
        moments = second_moments(self.backbone, every, self._inputs(num, size))
        return layers, {layer: (_part(gradients, pieces[layer]), moments[layer]) for layer in every}

    def _inputs(self, num: int, size: int) -> Iterator[dict[str, Tensor]]:
        return (batch.inputs for batch in self.batches(num, size))

    def _members(self, site: Site) -> list[Site]:
        """The site itself, or its linear layers."""
        names = WEIGHTS.get(site.position, (site.position,))
        return [Site(site.block, name) for name in names if Site(site.block, name) in self.backbone.places]

    def _layers(self, site: Site) -> list[Site]:
        """Its linear layers.

        Raises:
            UserError: if it has none.
        """
        layers = [member for member in self._members(site) if member.position in LINEAR]
        if not layers:
            raise UserError(
                f"placement: {site} of {self.backbone.name} has no weight matrix; legal: {', '.join(LINEAR)}"
            )
        return layers

    def _matrix(self, layer: Site) -> Float[Tensor, "m n"]:
        """The frozen weight of a linear layer: its own part of a fused one."""
        return self._frozen(self._matrix_piece(layer))

    def _frozen(self, piece: Piece) -> Tensor:
        return _part({piece[0]: plain(self.backbone.model.get_parameter(piece[0]))}, piece)

    def _matrix_piece(self, layer: Site) -> Piece:
        model = self.backbone.model
        pieces = self.backbone.place(layer).parameters
        return next(piece for piece in pieces if model.get_parameter(piece[0]).ndim == 2)

    def _pieces(self, site: Site) -> list[Piece]:
        """The frozen weights of a site: its own, or those of its linear layers."""
        return [piece for member in self._members(site) for piece in self.backbone.place(member).parameters]

    def _logits(self, batch: Batch) -> tuple[dict[str, Tensor], Float[Tensor, "b c"]]:
        """The logits, with a graph from copies of the backbone's parameters, which are frozen themselves."""
        named = self.backbone.model.named_parameters()
        values = {name: plain(value).detach().requires_grad_() for name, value in named}
        with torch.enable_grad():
            return values, self.head(self.backbone.features(batch.inputs, values)).float()


def _part(tensors: dict[str, Tensor], piece: Piece) -> Tensor:
    name, (index, count) = piece
    return tensors[name].chunk(count)[index]


def _condition(matrix: Float[Tensor, "m n"]) -> float:
    if not matrix.isfinite().all():
        return math.nan
    sigma = torch.linalg.svdvals(matrix.detach().double()).tolist()
    return float(sigma[0] / sigma[-1]) if sigma[-1] > 0 else math.inf


def _gradient(value: Tensor, values: dict[str, Tensor], *, is_last: bool) -> dict[str, Tensor]:
    grads = torch.autograd.grad(
        value, list(values.values()), retain_graph=not is_last, allow_unused=True, materialize_grads=True
    )
    return dict(zip(values, grads, strict=True))
