"""JSON: what is written comes back, is strict, and what cannot be read says nothing."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.record.json_file import json_text, read_json

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers() | NUMBERS | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9)


def strict(text):
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@given(VALUES)
def test_what_is_written_comes_back_on_one_line(value):
    text = json_text(value)
    assert strict(text) == value
    assert text.index("\n") == len(text) - 1


def test_what_is_not_finite_becomes_null_at_every_depth():
    """Strict JSON: NaN and Infinity are no numbers in it, and other readers stop at them."""
    nan, inf = math.nan, math.inf
    value = {"a": nan, "b": [1.0, inf, (-inf, 2)], "c": {"d": {3: nan}}, "e": None}
    assert strict(json_text(value)) == {"a": None, "b": [1.0, None, [None, 2]], "c": {"d": {"3": None}}, "e": None}  # fmt: skip
    assert math.isnan(value["a"])  # the caller's own is as it was


def test_a_key_of_any_kind_is_its_text():
    assert strict(json_text({0.5: 1, True: {("q", 1): 2}})) == {"0.5": 1, "True": {"('q', 1)": 2}}


def test_an_indent_is_for_people():
    assert json_text({"a": [1, None]}, indent=2) == '{\n  "a": [\n    1,\n    null\n  ]\n}\n'


def test_what_is_no_json_is_the_caller_s_mistake():
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        json_text({"a": object()})


def test_a_mapping_is_read(tmp_path):
    (tmp_path / "a.json").write_text(json_text({"é": [1, 2.5]}, indent=1))
    assert read_json(tmp_path / "a.json") == {"é": [1, 2.5]}
    (tmp_path / "a.json").write_bytes('{"é": 1}'.encode())  # another writer does not escape
    assert read_json(tmp_path / "a.json") == {"é": 1}


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1', b"[]", b"3", b"null", b'"a"', b"\x00", b"\xff\xfe{"])
def test_a_file_without_a_mapping_says_nothing(tmp_path, data):
    (tmp_path / "a.json").write_bytes(data)
    assert read_json(tmp_path / "a.json") == {}


def test_no_file_says_nothing(tmp_path):
    assert read_json(tmp_path / "a.json") == read_json(tmp_path) == {}
