"""peft=mask_neurons: whole hidden neurons of the MLP, by their score."""

from dataclasses import dataclass

from peftlab.peft.mask.mask import Groups
from peftlab.peft.mask.top_groups import Sliced
from peftlab.peft.weights import Weights


@dataclass(frozen=True, kw_only=True)
class MaskNeurons(Groups):
    """Neuron j is row j of mlp1 (and of gate) with its bias, and column j of mlp2, as far as placed."""

    def slices(self, weights: Weights) -> list[Sliced]:
        """By neuron."""
        slices = []
        for weight in weights.inside:
            assert weight.site is not None
            if weight.site.position in ("mlp1", "gate"):
                slices.append(Sliced(weight, 0, weight.value.shape[0]))
            elif weight.site.position == "mlp2" and weight.value.dim() == 2:  # its bias belongs to no neuron
                slices.append(Sliced(weight, 1, weight.value.shape[1]))
        return slices
