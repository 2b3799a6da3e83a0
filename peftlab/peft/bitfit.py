"""peft=bitfit: only the bias vectors."""

from peftlab.errors import UserError
from peftlab.peft.weights import Chosen, Weights


def bitfit(weights: Weights, *, outside_blocks: bool) -> Chosen:
    """The biases of the placed sites (LayerNorm's beta is one); with `outside_blocks` also the patch embedding's and
    the last norm's.

    Source: Ben Zaken et al. 2022, arXiv:2106.10199.

    Raises:
        UserError: if there is none.
    """
    candidates = weights.candidates(outside_blocks)
    biases = [weight for weight in candidates if weight.name.endswith("bias")]
    if not biases:
        raise UserError(
            "placement: no module of the chosen sites has a bias, so peft=bitfit would train nothing; choose other positions"
        )
    return [(weight, None) for weight in biases]
