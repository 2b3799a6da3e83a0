"""What each insertion reads and writes."""

import pytest

from peftlab.backbone.backbone import Place, Port
from peftlab.network.insertion import ports_of

READ, WRITTEN, STREAM = Port("m", "in"), Port("m", "out"), Port("norm", "in")
PLACE = Place(READ, WRITTEN, STREAM, 16, 64, ())
NORM = Place(STREAM, Port("norm", "out"), None, 16, 16, (), "m", WRITTEN)


@pytest.mark.parametrize(
    ("insertion", "expected"),
    [
        ("parallel", (READ, WRITTEN, 16, 64)),
        ("sequential", (WRITTEN, WRITTEN, 64, 64)),
        ("residual", (STREAM, WRITTEN, 16, 64)),
        ("input", (READ, READ, 16, 16)),
        ("heads", (READ, WRITTEN, 16, 64)),
        ("concat", (READ, WRITTEN, 16, 64)),
    ],
)
def test_ports_and_widths(insertion, expected):
    assert ports_of(insertion, PLACE) == (*expected, None)


@pytest.mark.parametrize(("insertion", "reads"), [("before", STREAM), ("over_time", Port("m", "time"))])
def test_before_a_norm_the_stream_itself_changes(insertion, reads):
    """What goes around the sub-layer gets what the norm gets."""
    assert ports_of(insertion, NORM) == (reads, STREAM, 16, 16, WRITTEN)
    assert ports_of(insertion, PLACE).reads is None  # where no norm stands before a sub-layer
