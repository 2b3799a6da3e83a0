"""Configs of an earlier peftlab: every name that it wrote has one here, and what has none is a sentence."""

import copy

import pytest

from peftlab.config.resolve import resolve
from peftlab.config.signature import signature
from peftlab.config.upgrade import FORMAT, MOVED, SINCE, format_of, upgraded
from peftlab.errors import UserError

# every _target_ in the configs of the first house (format 1), Hydra's callbacks aside
FIRST_HOUSE = [
    "backbone.timm_model.timm_model", "bilevel.direct.direct", "bilevel.implicit.implicit",
    "bilevel.outer.Outer", "bilevel.unrolled.unrolled", "dataset.dataset.dataset", "dataset.digits.digits",
    "dataset.hub.hub", "dataset.image_folder.image_folder", "fit.Plan", "head.cosine.Cosine",
    "head.linear.Linear", "loss.cross_entropy.cross_entropy", "loss.logit_adjusted.logit_adjusted",
    "optim.adamw.adamw", "optim.sgd.sgd", "peft.adapter.Adapter", "peft.bitfit.bitfit", "peft.dylora.DyLora",
    "peft.full.full", "peft.ia3.Ia3", "peft.layernorm.layernorm", "peft.linear_probe.linear_probe",
    "peft.lora.Lora", "peft.mask_fisher.mask_fisher", "peft.mask_heads.mask_heads",
    "peft.mask_magnitude.mask_magnitude", "peft.mask_neurons.mask_neurons", "peft.mask_random.mask_random",
    "peft.mh_pa.MhPa", "peft.part.Hybrid", "peft.prefix.Prefix", "peft.prompt.Prompt",
    "peft.prompt_gate.PromptGate", "peft.ssf.Ssf", "peft.temperature.Temperature",
    "placement.activation_energy.activation_energy", "placement.cells.cells", "placement.from_file.from_file",
    "placement.from_gamma.from_gamma", "placement.gradient_norm.gradient_norm", "placement.grid.grid",
    "placement.noah.noah", "placement.random_k.random_k", "placement.sensitivity.sensitivity",
    "placement.supernet.supernet", "scaling.fixed.fixed", "scaling.gated.gated", "scaling.learned.learned",
    "scaling.meta.meta", "tracker.none.NoTracker", "tracker.wandb.WandbTracker",
]  # fmt: skip
OLD = {new: old for old, new in MOVED.items()}
# what has another name today; methods that were functions are classes of the same name
RENAMED = {"bilevel.outer.Outer": "OuterPlan", "dataset.dataset.dataset": "image_dataset"}
# what was a function with its options, and is a choice today
NOT_PARTIAL = ("fit.Plan", "peft.part.Hybrid", "backbone.timm_model.timm_model")


def first_house(node):
    """A config of today as the first house wrote it: old names, Hydra's word for a partial, one decay, no task."""
    if isinstance(node, list):
        return [first_house(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        key: first_house(value) for key, value in node.items() if key not in ("gate_decay", "selected_decay")
    }
    if "_target_" in node:
        old = OLD.get(node["_target_"], node["_target_"])
        result["_target_"] = old
        if old.removeprefix("peftlab.") not in NOT_PARTIAL:
            result["_partial_"] = True
    return {key: value for key, value in result.items() if key != "task"}


@pytest.mark.parametrize("name", FIRST_HOUSE)
def test_every_name_of_the_first_house_has_one_today(name):
    config = {"group": {"inner": [{"_target_": f"peftlab.{name}", "rank": 8}]}}
    before = copy.deepcopy(config)
    target = upgraded(config, "RUN")["group"]["inner"][0]["_target_"]
    signature(target)
    said, now = RENAMED.get(name, name.rpartition(".")[2]), target.rpartition(".")[2]
    assert now.replace("_", "").lower() == said.replace("_", "").lower()
    assert config == before


def test_only_names_of_the_first_house_are_moved():
    assert MOVED.keys() <= {f"peftlab.{name}" for name in FIRST_HOUSE}
    assert not MOVED.keys() & set(MOVED.values())


@pytest.mark.parametrize(
    "words", [(), ("scaling=meta", "scaling/estimator=implicit"), ("peft=unipelt",), ("peft=mask_heads",)]
)
def test_a_whole_config_comes_back_and_passes_every_check(composed, words):
    config = composed(*words)
    decay = config["optim"]["weight_decay"]
    assert decay > 0
    as_it_was = {**config, "optim": {**config["optim"], "gate_decay": decay, "selected_decay": decay}}
    old = first_house(config)
    before = copy.deepcopy(old)
    assert old != config
    assert upgraded(old, "RUN") == as_it_was
    assert old == before
    resolve(upgraded(old, "RUN"))
    assert upgraded({"format": FORMAT, **config}, "RUN") == config


@pytest.mark.parametrize("number", [FORMAT + 1, 0, "two", None, True])
def test_a_format_that_is_not_known(number):
    with pytest.raises(
        UserError, match=rf"^RUN has format={number}, which another, newer peftlab wrote; legal"
    ):
        upgraded({"format": number}, "RUN")


def test_no_format_is_the_first():
    assert format_of({}, "RUN") == 1


@pytest.mark.parametrize(
    "target", ["peftlab.peft.magic.Magic", "peftlab.peft.lora.Nora", "os.system", "../../etc.passwd", 3, None]
)
@pytest.mark.parametrize("number", [1, FORMAT])
def test_a_target_that_does_not_exist(target, number):
    config = {"format": number, "peft": {"parts": {"a": {"_target_": target}}}}
    with pytest.raises(UserError) as error:
        upgraded(config, "RUN")
    text = str(error.value)
    assert text.startswith(
        f"RUN: config.yaml has _target_={target}, which this peftlab does not have; it was written by"
    )
    assert "run the same command again" in text
    assert "\n" not in text


def test_a_name_that_only_format_1_had_is_none_of_format_2():
    with pytest.raises(UserError, match=r"_target_=peftlab\.fit\.Plan, which this peftlab does not have"):
        upgraded({"format": 2, "fit": {"_target_": "peftlab.fit.Plan"}}, "RUN")


@pytest.mark.parametrize("optim", ["adamw", "sgd"])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_run_of_format_1_had_one_decay_for_gates_and_selected_weights_too(composed, optim, decay):
    """And classified, as there was no other task."""
    old = first_house(composed(f"optim={optim}", f"optim.weight_decay={decay}"))
    assert not {"gate_decay", "selected_decay"} & set(old["optim"])
    assert "task" not in old
    now = upgraded(old, "RUN")
    assert [now["optim"][key] for key in ("weight_decay", "gate_decay", "selected_decay")] == [decay] * 3
    assert now["task"] == composed()["task"]


def test_a_config_of_format_2_keeps_its_own_decays_and_task(composed):
    config = composed("optim.gate_decay=0.1", "optim.selected_decay=0.2")
    assert upgraded({"format": 2, **config}, "RUN") == config


def test_a_config_that_lacks_a_key_has_what_was_done_before_there_was_a_choice(composed):
    config = composed()
    data = SINCE[config["dataset"]["_target_"]]
    assert data.keys() < config["dataset"].keys()
    older = {key: value for key, value in config["dataset"].items() if key not in data}
    assert upgraded({"format": 2, **config, "dataset": older}, "RUN") == config


@pytest.mark.parametrize("optim", [None, 3, {"lr": 0.1}])
def test_a_config_of_format_1_without_a_decay_is_refused_with_the_sentence_of_any_config(composed, optim):
    old = {**first_house(composed()), "optim": optim}
    with pytest.raises(UserError, match=r"^optim"):
        resolve(upgraded(old, "RUN"))
