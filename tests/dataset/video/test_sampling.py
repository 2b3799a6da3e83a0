"""Which frames a clip has: written out, and where they can lie."""

from itertools import pairwise

import pytest
import torch

from peftlab.dataset.video.sampling import Sampling
from peftlab.errors import UserError
from peftlab.stream import generator

UNIFORM, DENSE = Sampling(4, "uniform", None), Sampling(4, "dense", 3)


@pytest.mark.parametrize(
    ("sampling", "length", "count", "expected"),
    [
        (UNIFORM, 16, 1, [[2, 6, 10, 14]]),
        (UNIFORM, 12, 1, [[1, 4, 7, 10]]),
        (UNIFORM, 16, 2, [[1, 5, 9, 13], [3, 7, 11, 15]]),
        (UNIFORM, 3, 1, [[0, 1, 1, 2]]),
        (UNIFORM, 1, 2, [[0, 0, 0, 0]] * 2),
        (DENSE, 20, 1, [[5, 8, 11, 14]]),
        (DENSE, 20, 3, [[0, 3, 6, 9], [5, 8, 11, 14], [10, 13, 16, 19]]),
        (DENSE, 8, 1, [[0, 3, 6, 7]]),
        (Sampling(1, "uniform", None), 9, 1, [[4]]),
    ],
)
def test_clips_that_are_spread_over_a_video(sampling, length, count, expected):
    assert sampling.spread(length, count) == expected


@pytest.mark.parametrize("sampling", [UNIFORM, DENSE])
@pytest.mark.parametrize("length", [1, 5, 16, 40])
def test_what_is_drawn_lies_in_the_video_in_order_and_every_place_comes(sampling, length):
    rng, seen = generator(0, "test"), set()
    for _ in range(300):
        numbers = sampling.drawn(length, rng)
        assert len(numbers) == 4
        assert numbers == sorted(numbers)
        assert 0 <= numbers[0] <= numbers[-1] < length
        if sampling is UNIFORM:
            parts = [int(number * 4 / length) for number in numbers]
            assert length < 4 or all(part in (place - 1, place) for place, part in enumerate(parts))
        else:
            steps = {after - before for before, after in pairwise(numbers)}
            assert steps == {3} or length < 10
        seen |= set(numbers)
    assert seen == set(range(length)) or (sampling is DENSE and length == 5)  # which has one clip


def test_the_same_generator_draws_the_same_frames():
    assert UNIFORM.drawn(40, generator(3, "a")) == UNIFORM.drawn(40, generator(3, "a"))
    draws = {tuple(UNIFORM.drawn(40, generator(seed, "a"))) for seed in range(10)}
    assert len(draws) > 5
    before = torch.get_rng_state()
    UNIFORM.drawn(40, generator(0, "a"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("how", "stride"), [("uniform", 2), ("dense", None)])
def test_a_stride_goes_with_dense_alone(how, stride):
    with pytest.raises(
        UserError, match=r"^dataset\.stride=\w+ does not go with dataset\.sampling=\w+; legal: "
    ):
        Sampling(4, how, stride)
