"""A command line's config without a run."""

from peftlab.config.check import check
from peftlab.config.compose import composed


def test_choices_and_keys_arrive_resolved() -> None:
    config = composed("peft=hlpt", "peft.cuts.bottom=25", "seed=3")
    assert config["peft"]["parts"]["prefix"]["depth"] == "25%-100%"
    assert config["scaling"]["_target_"] == "peftlab.scaling.gated.gated", "a hybrid chooses its scaling"
    assert config["seed"] == 3
    check(config)


def test_the_command_line_has_the_last_word_on_scaling() -> None:
    assert composed("peft=hlpt", "scaling=meta")["scaling"]["_target_"].endswith(".meta")
