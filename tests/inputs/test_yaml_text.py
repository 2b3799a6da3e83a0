"""A tree comes back; a bomb does not, at once."""

import time
import tracemalloc

import pytest

from peftlab.inputs.yaml_text import MAX_REPEATED, parse_yaml

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i}\n  <<: [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        MERGED,
        "&a [*a]",
        "&a {b: *a}",
        "- " * 5000,
        "[" * 5000,
        "{a: " * 5000,
        "".join(" " * depth + "a:\n" for depth in range(2000)),
        "[[1]]: 2\n? {a: 1}\n: 2",
        "a: [1",
        "a: !!python/object/apply:os.system [ls]",
        "a: 2001-02-31",
        "a: 1\n---\nb: 2",
        "\0",
    ],
)
def test_what_is_too_much_is_refused_in_no_time(text: str) -> None:
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(ValueError, match=r".+"):
        parse_yaml(text.encode())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.perf_counter() - began < 2
    assert peak < 2**26


def test_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        parse_yaml(b"a: \xff")


def test_a_name_for_what_is_written_once_may_be_used() -> None:
    assert parse_yaml(b"a: &r {rank: 8}\nb: *r\nc: {<<: *r, scale: 1}") == {
        "a": {"rank": 8},
        "b": {"rank": 8},
        "c": {"rank": 8, "scale": 1},
    }
    assert parse_yaml(f"a: &a [1]\nb: [{','.join(['*a'] * (MAX_REPEATED // 3))}]".encode())["b"][-1] == [1]
    assert parse_yaml(b"") is None
