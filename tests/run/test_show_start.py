"""What is printed before a run starts is what was built."""

from collections.abc import Callable
from typing import Any

from peftlab.build.experiment import build
from peftlab.build.outer import hypergradient_line
from peftlab.config.resolve import resolve
from peftlab.run.show_start import show_start
from peftlab.run.state import Run

Make = Callable[..., Run]
Printed = Callable[..., list[str]]
META = ("scaling=meta", "scaling.outer.warmup=2", "scaling.outer.every=2", "scaling.outer.batch_size=32")


def named(lines: list[str]) -> dict[str, str]:
    """The facts that have a name."""
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def test_a_fixed_run_says_backbone_data_transform_and_counts(state: Make, printed: Printed) -> None:
    experiment = state("placement.depth=0", "placement.position=q").experiment
    data: Any = experiment.trunk.dataset
    show_start(experiment, 0.0)
    lines = printed()
    facts = named(lines)
    assert list(facts) == ["backbone", "data", "audit", "transform", "placement", "trainable parameters"]
    backbone = experiment.trunk.backbone
    assert facts["backbone"] == f"{backbone.name}, {backbone.depth} blocks, on cpu"
    assert facts["data"] == experiment.task.data_line(len(data.train))
    assert facts["audit"].startswith(f"{len(data.train)} train, ")
    assert facts["transform"] == data.transform_text
    assert facts["placement"].startswith("1 sites")
    numbers = experiment.cell.num_parameters()
    assert f"delta {numbers['delta']:,}, gamma 0, " in facts["trainable parameters"]
    assert f"frozen backbone {backbone.num_weights:,} " in facts["trainable parameters"]


def test_a_start_away_from_the_frozen_model_is_said(state: Make, printed: Printed) -> None:
    show_start(state("peft=prefix").experiment, 0.12345)
    assert named(printed())["start"] == (
        "features differ from the frozen model's by up to 0.123, as prompts and prefixes do"
    )


def test_a_meta_learned_gamma_says_what_it_is_learned_on_and_how(state: Make, printed: Printed) -> None:
    """`data` counts what the inner steps are trained on, without what is held out."""
    experiment = state(*META, "scaling.outer.hold_out=true").experiment
    split = experiment.outer_split
    assert split is not None
    show_start(experiment, 0.0)
    facts = named(printed())
    assert facts["outer split"] == ", ".join(f"{key} {value}" for key, value in split.coverage().items())
    assert facts["hypergradient"] == hypergradient_line(experiment.resolved)
    assert f", {len(experiment.train)} images to train on" in facts["data"]
    assert len(experiment.train) < len(experiment.trunk.dataset.train)


def test_what_texts_for_each_image_cost_is_said(composed: Callable[..., Any], printed: Printed) -> None:
    words = ("backbone=tiny_duo", "task=contrast", "device=cpu", "dataset=digits", "fit.batch_size=16")
    for method, said in (
        (("peft=coop",), None),
        (
            ("peft=cocoop", "peft.words=abc", "peft.num_tokens=3"),
            "10 are read anew for each image: 160 in a step, 9,010 in the test",
        ),
    ):
        show_start(build(resolve(composed(*words, *method))), 0.0)
        assert named(printed()).get("texts") == said
