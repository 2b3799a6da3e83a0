"""placement=noah before its search: the candidates are the search space, and its numbers must go together."""

import inspect

import pytest

from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.noah import noah
from peftlab.search.evolution import Evolution
from peftlab.site import Site

OPTIONS = {
    "run": None,
    "epochs": None,
    "lr": None,
    "widths": [1, 5],
    "depths": [1.0],
    "limit": 1000,
    "population": 10,
    "parents": 3,
    "mutations": 5,
    "crossovers": 5,
    "generations": 2,
    "p_width": 0.2,
    "p_depth": 0.4,
}
SITES = [Site(0, "q"), Site(1, "q")]
GROUND = Ground(["0", "1"], ["q"], SITES)


def test_the_candidates_are_what_is_searched():
    assert noah(GROUND, **OPTIONS) == Placement({site: {} for site in SITES})
    assert set(OPTIONS) >= set(Evolution.__annotations__)
    assert set(OPTIONS) == set(inspect.signature(noah).parameters) - {"ground"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"mutations": 6},
            r"placement\.mutations=6 and placement\.crossovers=5 are more than placement\.population=10; legal",
        ),
        (
            {"run": "/nowhere"},
            r"placement\.run=/nowhere is not a finished run; legal: the folder of one with placement=supernet",
        ),
        ({"widths": [5, 1]}, r"placement\.widths=\[5, 1\] is not legal"),
    ],
)
def test_numbers_that_do_not_go_together(options, sentence):
    with pytest.raises(UserError, match=f"^{sentence}"):
        noah(GROUND, **{**OPTIONS, **options})


def test_it_passes_the_check_before_anything_was_found_and_with_a_supernet(composed, tmp_path):
    resolve(composed("backbone=tiny", "experiment=noah"))
    (tmp_path / "adapter.safetensors").touch()
    resolve(composed("backbone=tiny", "experiment=noah", f"placement.run={tmp_path}"))
    with pytest.raises(
        UserError, match=r"^placement\.limit=0 is not legal; legal: a whole number from 1 to 1000000000000"
    ):
        resolve(composed("backbone=tiny", "experiment=noah", "placement.limit=0"))
    with pytest.raises(UserError, match=r"^placement\.p_depth=2 is not legal; legal: a number from 0 to 1"):
        resolve(composed("backbone=tiny", "experiment=noah", "placement.p_depth=2"))


def test_the_published_numbers_are_the_defaults(composed):
    node = composed("peft=noah", "placement=noah")["placement"]
    published = {"population": 50, "parents": 10, "mutations": 25, "crossovers": 25, "generations": 15}
    published |= {"p_width": 0.2, "p_depth": 0.4, "limit": 640_000, "depths": [0.25, 0.5, 0.75, 1.0]}
    assert {key: node[key] for key in published} == published
