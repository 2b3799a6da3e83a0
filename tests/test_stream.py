"""Random streams: named, independent, the same everywhere, and nobody's global state."""

import hashlib
import random
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peftlab.stream import generator, stream_seed

NAMES = st.lists(
    st.sampled_from(["order", "split", "delta", "0.q"]) | st.integers(0, 9), min_size=1, max_size=3
)


def test_the_seed_is_the_hash_that_it_was() -> None:
    """A change of this number would change every split and every start of every run on record."""
    digest = hashlib.sha256(b"0/order/3").hexdigest()
    assert stream_seed(0, "order", 3) == int(digest[:16], 16) // 2
    assert stream_seed(0, "order", 3) == 2723741169552378311


@given(st.integers(0, 2**40), NAMES)
def test_a_seed_is_one_that_torch_takes_whole(seed: int, name: list[str | int]) -> None:
    value = stream_seed(seed, *name)
    assert 0 <= value < 2**63
    assert generator(seed, *name).initial_seed() == value


@given(st.integers(0, 5), st.integers(0, 5), NAMES, NAMES)
def test_another_name_or_seed_is_another_stream(
    seed: int, other: int, name: list[str | int], another: list[str | int]
) -> None:
    same = seed == other and name == another
    assert (stream_seed(seed, *name) == stream_seed(other, *another)) == same


def test_streams_are_not_correlated() -> None:
    names = ("split", "order", "augment", "head", "dropout", "outer/0")
    draws = {name: torch.randn(4000, generator=generator(0, name)) for name in names}
    draws["seed 1"] = torch.randn(4000, generator=generator(1, "split"))
    for one, two in combinations(draws.values(), 2):
        assert abs(torch.corrcoef(torch.stack([one, two]))[0, 1].item()) < 5 / 4000**0.5


def test_the_same_name_starts_again_from_its_beginning() -> None:
    first, second = generator(0, "delta", "3.q"), generator(0, "delta", "3.q")
    assert torch.equal(torch.randn(8, generator=first), torch.randn(8, generator=second))
    assert not torch.equal(
        torch.randn(8, generator=first), torch.randn(8, generator=generator(0, "delta", "3.q"))
    )


def test_seed_0_is_a_seed() -> None:
    assert generator(0, "order").initial_seed() not in (0, torch.default_generator.initial_seed())
    assert stream_seed(0, "order") != stream_seed(1, "order")


@pytest.mark.parametrize("seed", [0, 7])
def test_no_global_state_is_touched(seed: int) -> None:
    def state() -> tuple[list[int], int, object]:
        return (
            torch.random.get_rng_state().tolist(),
            hash(np.random.get_state()[1].tobytes()),
            random.getstate(),
        )

    before = state()
    torch.randn(3, generator=generator(seed, "order"))
    assert state() == before
