"""peft=bitfit: only the bias vectors."""

from peftlab.errors import UserError


def bitfit(inside: list[str], outside: list[str], *, outside_blocks: bool) -> list[str]:
    """The biases `inside` the placed sites (LayerNorm's beta is one); with `outside_blocks` also the patch
    embedding's and the last norm's.

    Source: Ben Zaken et al. 2022, arXiv:2106.10199.

    Raises:
        UserError: if there is none.
    """
    biases = [name for name in [*inside, *(outside if outside_blocks else [])] if name.endswith("bias")]
    if not biases:
        raise UserError(
            "placement: no module of the chosen sites has a bias, so peft=bitfit would train nothing; choose other positions"
        )
    return biases
