"""Which ports of a place an insertion reads and writes, and how wide they are."""

from typing import NamedTuple

from peftlab.backbone.backbone import Place, Port


class Ports(NamedTuple):
    """`reads` is None where the place has no residual stream. `joins`: what is added to the stream before a norm is added to what
    the sub-layer behind it gives, too, since the stream goes around both."""

    reads: Port | None
    writes: Port
    num_in: int
    num_out: int
    joins: Port | None = None


def ports_of(insertion: str, place: Place) -> Ports:
    """What peft.insertion means at a place, after He et al. 2022 (arXiv:2110.04366, table 1)."""
    if insertion in ("sequential", "context", "coupled"):
        return Ports(place.output, place.output, place.num_out, place.num_out)
    if insertion == "input":
        return Ports(place.input, place.input, place.num_in, place.num_in)
    if insertion in ("before", "over_time"):
        over_time = None if place.sublayer is None else Port(place.sublayer, "time")
        reads = place.input if insertion == "before" else over_time
        reads = None if place.joins is None else reads
        return Ports(reads, place.input, place.num_in, place.num_in, place.joins)
    reads = place.residual if insertion in ("residual", "conditional") else place.input
    return Ports(reads, place.output, place.num_in, place.num_out)
