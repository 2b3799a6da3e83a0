"""Whatever a config or a table holds becomes JSON of valid UTF-8."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from peftlab.tracker.plain import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(
            (same, same)
            for same in (None, True, 3, 0.5, math.inf, "", "名前 [b]", [1, [None]], {"a": {"b": 1}})
        ),
        ("\udcff", "\\udcff"),
        ("a\0b", "a\\0b"),
        (("a", ("b",)), ["a", ["b"]]),
        ({1: 2, None: {"\udc80": 1}}, {"1": 2, "None": {"\\udc80": 1}}),
        (Path("a/b"), "a/b"),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (2**70, 2**70),
        ({"b": {3}}, {"b": "{3}"}),
    ],
)
def test_values(value, expected):
    found = plain(value)
    assert (type(found), found) == (type(expected), expected)
    json.dumps(found).encode()
