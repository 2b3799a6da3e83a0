"""peft=bitfit: only the bias vectors."""


def bitfit(inside: list[str], outside: list[str], *, outside_blocks: bool) -> list[str]:
    """The biases `inside` the placed sites (LayerNorm's beta is one); with `outside_blocks` also the patch
    embedding's and the last norm's.

    Source: Ben Zaken et al. 2022, arXiv:2106.10199.
    """
    return [name for name in [*inside, *(outside if outside_blocks else [])] if name.endswith("bias")]
