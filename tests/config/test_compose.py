"""A command line's config without a run."""

import pytest
from fixtures import configs

from peftlab.config.compose import composed, composed_of
from peftlab.config.resolve import resolve
from peftlab.errors import UserError


def test_choices_and_keys_arrive_resolved() -> None:
    config = composed("peft=hlpt", "peft.cuts.bottom=25", "seed=3")
    assert config["peft"]["parts"]["prefix"]["depth"] == "25%-100%"
    assert config["scaling"]["_target_"] == "peftlab.scaling.gated.gated", "a hybrid chooses its scaling"
    assert config["seed"] == 3
    resolve(config)


def test_the_command_line_has_the_last_word_on_scaling() -> None:
    assert composed("peft=hlpt", "scaling=meta")["scaling"]["_target_"].endswith(".meta")


def test_options_replace_values_before_interpolations_are_resolved() -> None:
    config = composed("peft=hlpt", options={"peft.cuts.bottom": 25})
    assert config["peft"]["parts"]["prefix"]["depth"] == "25%-100%"


def test_choices_by_group_are_the_words_of_the_command_line() -> None:
    given = {
        "peft": {"name": "lora", "rank": 3},
        "placement": {"depth": "0-2"},
        "scaling": {"name": "meta", "estimator": "unrolled", "outer": {"every": 7}},
        "head": "linear",
        "loss": None,
    }
    words = ["peft=lora", "peft.rank=3", "placement.depth=0-2", "scaling=meta", "scaling/estimator=unrolled"]
    assert composed_of(given, "seed=4") == composed(*words, "scaling.outer.every=7", "head=linear", "seed=4")


def test_a_choice_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(
        UserError, match=r"^peft=lorra is not a choice of the group peft; legal: .*\(did you mean lora\?\)$"
    ):
        composed_of({"peft": "lorra"})


@pytest.mark.parametrize(
    "words",
    [
        ("backbone=tiny", "peft.rank=3", "seed=1", "placement.position=[q,v]"),
        ("peft=hlpt", "peft.cuts.bottom=25", "optim=sgd", "optim.lr=0.5"),
        ("scaling=meta", "scaling/estimator=unrolled", "scaling.outer.every=7", "+backbone.model_args.x=1"),
        ("placement=random_k", "seed=4", "seed=5", "dataset=digits_lt", "dataset.path='a b'"),
    ],
)
def test_what_the_tests_compose_is_what_the_command_line_composes(words: tuple[str, ...]) -> None:
    for _ in range(2):
        assert configs.composed(*words) == composed(*words)
