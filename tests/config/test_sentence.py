"""Hydra's own errors, made from real command lines, as one sentence."""

import pytest
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from peftlab.config.compose import opened_configs
from peftlab.config.directory import config_dir
from peftlab.config.sentence import check_effect, sentence
from peftlab.errors import UserError

PEFT = ", ".join(sorted(file.stem for file in (config_dir() / "peft").glob("*.yaml")))


def told(*words: str) -> str:
    """What is said of a command line, composed as Hydra's main does it (`compose` allows a,b without -m)."""
    with opened_configs():
        loader = GlobalHydra.instance().config_loader()
        with pytest.raises((HydraException, OmegaConfBaseException, ValueError)) as error:
            loader.load_configuration("config", list(words), run_mode=RunMode.RUN)
    text = sentence(error.value, words)
    assert "\n" not in text
    assert "  " not in text
    assert "hydra.cc" not in text
    return text


@pytest.mark.parametrize(
    ("word", "words"),
    [
        # keys of people's own
        (
            "backbone.model_args.drop_rate=0.5",
            "backbone.model_args.drop_rate is no key of backbone.model_args yet; legal: a + before it adds one, as"
            " +backbone.model_args.drop_rate=0.5",
        ),
        (
            "backbone.model_args={drop_rate: 0.5}",
            "backbone.model_args.drop_rate is no key of backbone.model_args yet; legal: a + before it adds one, as"
            " +backbone.model_args.drop_rate=0.5",
        ),
        # choices
        ("peft=lorra", f"peft=lorra is not a choice of the group peft; legal: {PEFT} (did you mean lora?)"),
        ("peft=zzz", f"peft=zzz is not a choice of the group peft; legal: {PEFT}"),
        (
            "fit=defualt",
            "fit=defualt is not a choice of the group fit; legal: default (did you mean default?)",
        ),
        # keys
        (
            "peft.rnk=3",
            "peft.rnk=3 is not a key of peft; "
            "legal: depth, dropout, insertion, positions, rank, scale (did you mean rank?)",
        ),
        ("fit.epochz=3", "fit.epochz=3 is not a key of fit; legal: accumulate, "),
        ("scaling.outer.every=3", "scaling.outer.every=3 is not a key of scaling; legal: rule, value"),
        ("sede=3", "sede=3 is not a key of the config; legal: backbone, baseline, "),
        (
            "scaling/estimator=direct",
            "scaling/estimator=direct is neither a group nor a key of this config; legal: what peftlab --help ",
        ),
        (
            "hydra.nosuch=1",
            "hydra.nosuch=1 is neither a group nor a key of this config; legal: what peftlab --help lists",
        ),
        ("~foo", "~foo is neither a group nor a key of this config; legal: what peftlab --help lists"),
        ("+peft.rank=3", "+peft.rank is a key of the config already; legal: peft.rank=VALUE, without the +"),
        (
            "pefts=lora",
            "pefts=lora is not a key of the config; legal: backbone, ",
        ),
        (
            "peft.rank.x=8",
            "peft.rank.x=8 is not a key of peft.rank, which is no mapping; legal: peft.rank=VALUE",
        ),
        ("peft.rnk=a b", "peft.rnk=a b is not a key of peft; legal: depth, "),
        (
            "+peft=lora",
            "+peft adds to the group peft, which has a choice already; legal: peft=NAME, without the +",
        ),
        (
            "++peft=lora",
            "++peft=lora adds to a group, which has a choice already; legal: peft=lora, without the ++",
        ),
        (
            "~optim.lr=5",
            "~optim.lr=5 takes away another value than optim.lr=0.003; legal: optim.lr=VALUE, which ",
        ),
        # what has another kind
        (
            "dataset.groups=[1]",
            "dataset.groups=[1] is not legal; legal: a mapping, as dataset.groups={KEY: VALUE}, or ",
        ),
        ("hydra.mode=NOPE", "hydra.mode=NOPE is not legal; legal: RUN, MULTIRUN"),
        ("hydra.job.chdir=nope", "hydra.job.chdir=nope is not legal (Value 'nope' "),
        (
            "peft.rank=range(1,4)",
            "peft.rank=range(1,4) is more than one value; legal: one, or a sweep with peftlab -m",
        ),
        # spelling
        ("foo", "foo cannot be read; legal: KEY=VALUE, in quotes where it holds spaces or brackets"),
        ("placement.depth=[0,1", "placement.depth=[0,1 cannot be read; legal: KEY=VALUE, in quotes "),
        # more than one value without -m
        (
            "peft.rank=1,2",
            "peft.rank=1,2 is more than one value; "
            "legal: one, a list as peft.rank=[1,2], or a sweep with peftlab -m",
        ),
        (
            "placement.depth=0-2,3-5",
            "placement.depth=0-2,3-5 is more than one value; "
            "legal: one, a list as placement.depth=[0-2,3-5], or a sweep",
        ),
        ("peft=lora,bitfit", "peft=lora,bitfit is more than one value; legal: "),
    ],
)
def test_one_clear_sentence(word: str, words: str) -> None:
    assert told("backbone=tiny", word, "seed=0").startswith(words)


def test_what_is_not_known_keeps_its_own_words() -> None:
    assert sentence(ValueError("something\n  else")) == "something else; legal: what peftlab --help lists"


@pytest.mark.parametrize("name", ["slurm", "ray"])
def test_a_launcher_that_is_not_installed_is_named_with_what_installs_it(name: str) -> None:
    error = HydraException(f"Unknown plugin class : 'hydra_plugins.peftlab.{name}.{name.title()}'")
    words = f'needs packages that are not installed; legal: after pip install "peftlab[{name}]"'
    assert sentence(error) == f"hydra/launcher={name} {words}"


def test_a_legal_line_raises_nothing() -> None:
    with opened_configs():
        assert compose("config", ["seed=0"]).seed == 0


@pytest.mark.parametrize(
    "key", ["peft.parts", "dataset.groups", "backbone.model_args", "scaling.outer", "dataset"]
)
@pytest.mark.parametrize("value", ["{}", "{ }", " {}"])
def test_an_empty_mapping_has_no_effect_and_is_refused(key: str, value: str) -> None:
    with pytest.raises(UserError, match=rf"^{key}=.* has no effect, .* legal: .* as {key}\.KEY=VALUE"):
        check_effect(["seed=1", f"{key}={value}"])
    check_effect(["seed=1", f"{key}={{a: 1}}", f"{key}=3", f"~{key}"])
