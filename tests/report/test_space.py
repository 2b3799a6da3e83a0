"""What a study searches, from words in Hydra's syntax."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from peftlab.errors import UserError
from peftlab.report.study.space import Axis, Space, space_of


def space(*words: str) -> Space:
    return space_of(OverridesParser.create().parse_overrides([*words]))


@pytest.mark.parametrize(
    ("word", "kind", "ends"),
    [
        ("interval(0.1,0.9)", "Float", (0.1, 0.9, False, None)),
        ("interval(1,8)", "Float", (1.0, 8.0, False, None)),
        ("int(interval(1,8))", "Int", (1, 8, False, 1)),
        ("tag(log,interval(1e-4,1e-1))", "Float", (1e-4, 1e-1, True, None)),
        ("tag(log,int(interval(1,16)))", "Int", (1, 16, True, 1)),
        ("range(1,9,2)", "Int", (1, 7, False, 2)),
        ("range(4,0,-1)", "Int", (1, 4, False, 1)),
        ("range(0.1,0.5,0.1)", "Float", (0.1, 0.4, False, 0.1)),
        ("range(3,4)", "Int", (3, 3, False, 1)),
    ],
)
def test_numbers_have_the_ends_that_are_typed(
    word: str, kind: str, ends: tuple[float, float, bool, float | None]
) -> None:
    pytest.importorskip("optuna")
    found = space(f"a={word}").axes["a"].distribution
    assert type(found).__name__ == f"{kind}Distribution"
    assert (found.low, found.high, found.log, found.step) == pytest.approx(ends)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("q,v", ("q", "v")),
        ("choice(2,4,16)", ("2", "4", "16")),
        ("[q,v],mlp1", ("[q,v]", "mlp1")),
        ("shuffle(range(0,3))", None),
    ],
)
def test_the_rest_are_choices(word: str, values: tuple[str, ...] | None) -> None:
    pytest.importorskip("optuna")
    found = space(f"a={word}").axes["a"].distribution
    assert found.choices == values or (values is None and sorted(found.choices) == ["0", "1", "2"])


def test_every_trial_has_all_seeds_and_what_is_fixed() -> None:
    pytest.importorskip("optuna")
    found = space("peft=lora", "peft.rank=4", "a=range(1,9)", "seed=0,1", "peft.rank=2,8")
    assert found.words({"a": 3, "peft.rank": "8"}) == [
        ["peft=lora", "a=3", "peft.rank=8", "seed=0"],
        ["peft=lora", "a=3", "peft.rank=8", "seed=1"],
    ]
    assert space("a=1,2", "seed=3").words({"a": "1"}) == [["seed=3", "a=1"]]


def test_numbers_are_as_short_as_they_are_typed_and_within_their_ends() -> None:
    free, steps = Axis("", (), 0.12341, 0.9), Axis("", (0.1, 0.2), 0.1, 0.2)
    assert free.rounded(0.5123456) == 0.5123
    assert free.rounded(0.12341) == 0.12341
    assert steps.rounded(0.30000000000000004) == 0.3
    assert Axis("", ("q",)).rounded("q") == "q"
    assert Axis("", (), 1, 8).rounded(3) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["peft.rank=4"], "hydra/sweeper=optuna has nothing to search; legal: as optim.lr="),
        (["seed=0,1"], "hydra/sweeper=optuna has nothing to search"),
        (["a=1,2", "seed=interval(0,9)"], r"seed=interval\(0,9\) is nothing to search; legal: a list"),
        (
            ["a=tag(log,interval(0,1))"],
            r"a=tag\(log,interval\(0,1\)\) cannot be searched .*; legal: as interval",
        ),
        (["a=interval(2,1)"], "cannot be searched"),
        (["a=range(3,3)"], "cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_refused(words: list[str], sentence: str) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(UserError, match=sentence):
        space(*words)
