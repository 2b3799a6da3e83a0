"""Which jobs are cells of one network, and where a group is cut for several workers."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.engine.group import Cell, cost, group_key, groups_of, span, why_alone

Config = Callable[..., dict[str, Any]]
SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "device=cpu")
VIT = ("backbone=vit_tiny_patch8_32", "device=cpu")


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (("placement.depth=1", "peft=bitfit", "seed=3", "optim.lr=0.1"), True),
        (("fit.epochs=3",), False),
        (("fit.batch_size=32",), False),
        (("dataset.imbalance=5",), False),
        (("backbone.model_args.embed_dim=32",), False),
    ],
)
def test_a_group_has_one_backbone_one_data_set_and_one_plan(
    composed: Config, words: tuple[str, ...], same: bool
) -> None:
    one, other = resolve(composed(*SMALL)), resolve(composed(*SMALL, *words))
    assert (group_key(one) == group_key(other)) is same


def test_what_has_stages_of_its_own_runs_alone(composed: Config) -> None:
    assert why_alone(resolve(composed(*SMALL))) is None
    noah = resolve(composed("backbone=tiny", "experiment=noah", "placement.limit=2000"))
    assert why_alone(noah) == "placement=noah has stages of its own"


def test_what_is_compiled_runs_alone(composed: Config) -> None:
    found = why_alone(resolve(composed(*SMALL, "fit.compile=true")))
    assert found == "fit.compile=true compiles the step of one cell"


def test_what_compares_with_texts_runs_alone(composed: Config) -> None:
    found = why_alone(resolve(composed("backbone=tiny_duo", "task=contrast")))
    assert found == "task=contrast compares with texts that a method writes, in a network of its own"


@pytest.fixture
def grid(composed: Config) -> Callable[..., dict[int, Resolved]]:
    """Jobs of four groups of blocks at two positions, for each of so many seeds, in the order of a sweep."""

    def make(seeds: int = 1, *words: str) -> dict[int, Resolved]:
        axes = product(("0-2", "3-5", "6-8", "9-11"), ("q", "v"), range(seeds))
        typed = [(f"placement.depth={d}", f"placement.position={p}", f"seed={s}") for d, p, s in axes]
        return dict(enumerate(resolve(composed(*VIT, *own, *words)) for own in typed))

    return make


def test_one_worker_has_all_of_them(grid: Any) -> None:
    assert groups_of(grid()) == [[*range(8)]]
    assert groups_of({}) == []


def test_two_workers_have_parts_of_like_cost_which_repeat_little_of_the_trunk(grid: Any) -> None:
    """Of 10 forwards of cells: the three that begin lowest are 5.5, the others 4.5, and the trunk below them 0.25 and 0.75."""
    assert groups_of(grid(), workers=2) == [[0, 1, 2], [3, 4, 5, 6, 7]]


def test_seeds_share_no_batches_and_are_parted_first(grid: Any) -> None:
    parts = groups_of(grid(seeds=2), workers=2)
    assert parts == [[*range(0, 16, 2)], [*range(1, 16, 2)]]


def test_a_group_holds_at_most_max_cells(grid: Any) -> None:
    jobs = grid()
    for limit, workers in product((1, 2, 3, 5, 8), (1, 2, 3, 7)):
        parts = groups_of(jobs, workers, limit)
        assert sorted(place for part in parts for place in part) == [*range(8)]
        assert max(map(len, parts)) <= limit
        assert len(parts) >= workers


def test_a_cut_that_ends_nothing_sooner_is_not_made(grid: Any) -> None:
    """The two cells of the last blocks take less than one of the first."""
    assert [6, 7] in groups_of(grid(), workers=9)


def test_three_groups_on_two_workers_are_cut_once_more(grid: Any) -> None:
    """Two workers with three groups of the same size: one would have twice the work of the other."""
    jobs = {}
    for size in (16, 32, 64):
        jobs |= {len(jobs) + at: one for at, one in grid(1, f"fit.batch_size={size}").items()}
    parts = groups_of(jobs, workers=2)
    assert len(parts) == 4
    keys = [{group_key(jobs[place]) for place in part} for part in parts]
    assert all(len(key) == 1 for key in keys)


def test_who_runs_alone_is_in_no_group(grid: Any, composed: Config) -> None:
    noah = resolve(composed("backbone=tiny", "experiment=noah", "placement.limit=2000"))
    assert sorted(groups_of({**grid(), 8: noah})) == [[*range(8)], [8]]


def test_the_cost_is_one_trunk_for_each_seed_and_the_cells_above_it() -> None:
    low, high, other = Cell(0, 0.25, 0), Cell(0, 0.75, 1), Cell(1, 0.5, 2)
    assert cost([low]) == 0.25 + 2 * 0.75
    assert cost([low, high]) == 0.75 + 2 * (0.75 + 0.25)
    assert cost([low, high, other]) == 0.75 + 0.5 + 2 * (0.75 + 0.25 + 0.5)
    assert span([[low], [high], [other]], 2) == 1.5 + 1.25
    assert span([[low], [high], [other]], 1) == pytest.approx(1.75 + 1.25 + 1.5)
