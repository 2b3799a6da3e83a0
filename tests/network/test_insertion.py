"""What each insertion reads and writes."""

import pytest

from peftlab.backbone.backbone import Place, Port
from peftlab.network.insertion import ports_of

READ, WRITTEN, STREAM = Port("m", "in"), Port("m", "out"), Port("norm", "in")
PLACE = Place(READ, WRITTEN, STREAM, 16, 64, ())


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
    assert ports_of(insertion, PLACE) == expected
