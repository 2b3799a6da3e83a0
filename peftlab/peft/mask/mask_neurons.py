"""peft=mask_neurons: whole hidden neurons of the MLP, by their score."""

from peftlab.option import Fraction, PositiveInt
from peftlab.peft.mask.gradient_score import Score
from peftlab.peft.mask.top_groups import Sliced, choose_groups
from peftlab.peft.weights import Chosen, Weights


def mask_neurons(
    weights: Weights, *, keep_ratio: Fraction, num_samples: PositiveInt, score: Score, count_head: bool
) -> Chosen:
    """Neuron j is row j of mlp1 (and of gate) with its bias, and column j of mlp2, as far as placed.

    Its score is the mean of sum_n g_n^2 (or |g_n|) over them.

    Source: the scores of Sung et al. 2021, arXiv:2111.09839. Differs: tied within a neuron, which is a design of our own.

    Raises:
        UserError: for a budget that no neuron fits, or gradients that are all 0.
    """
    slices = []
    for weight in weights.inside:
        assert weight.site is not None
        if weight.site.position in ("mlp1", "gate"):
            slices.append(Sliced(weight, 0, weight.value.shape[0]))
        elif weight.site.position == "mlp2" and weight.value.dim() == 2:  # its bias belongs to no neuron
            slices.append(Sliced(weight, 1, weight.value.shape[1]))
    return choose_groups(
        weights, slices, keep_ratio=keep_ratio, num_samples=num_samples, score=score, count_head=count_head
    )
