"""peft=full: every parameter of the placed sites, and of what lies outside the blocks."""


def full(inside: list[str], outside: list[str], *, outside_blocks: bool) -> list[str]:
    """All `inside` the placed sites; with `outside_blocks` also embeddings and the last norm."""
    return [*inside, *(outside if outside_blocks else [])]
