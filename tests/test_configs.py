"""Every YAML composes, passes every check, fits its code, and every group has its folder."""

import copy
import inspect
from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.configs import TWO_TOWERS
from fixtures.stand_ins import with_data
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf
from timm.models import get_pretrained_cfg

import peftlab
from peftlab.config.compose import opened_configs
from peftlab.config.directory import config_dir
from peftlab.config.place import place
from peftlab.config.resolve import choice as choice_of
from peftlab.config.resolve import parts_of, resolve
from peftlab.config.schema import GROUPS, PART
from peftlab.config.signature import signature
from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.placement.depth import block_labels
from peftlab.site import POSITIONS

CONFIGS = config_dir()
PACKAGE = Path(str(peftlab.__file__)).parent
YAMLS = sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.glob("**/*.yaml"))
CHOICES = {group: sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) for group in GROUPS}
RECIPES = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
EXPERIMENTS = [name.removeprefix("experiment/") for name in YAMLS if name.startswith("experiment/")]
KEEP = ["placement.keep=1"]
PLACEMENT = {
    "cells": ["placement.cells={0.q:{rank:4}}"],
    "from_gamma": KEEP,
    "from_file": [],
    **dict.fromkeys(("random_k", "sensitivity", "gradient_norm", "activation_energy"), KEEP),
    **dict.fromkeys(("plop", "kappa", "residual_norm", "layer_coupling"), KEEP),
}
LOCAL = ("satmae_vit_l_16", *(f"remoteclip_vit_{size}" for size in ("b_32", "l_14")))
LOCAL += tuple(f"georsclip_vit_{size}" for size in ("b_32", "l_14", "h_14"))  # weights of one's own disk
LOCAL += tuple(name.replace("_vit_", "_towers_vit_") for name in LOCAL[1:])
NEEDS = {
    "backbone=timm": ["backbone.name=vit_tiny_patch16_224"],
    "backbone=open_clip": ["backbone.name=ViT-B-16"],
    "backbone=hf_clip": ["backbone.name=openai/clip-vit-base-patch16"],
    "backbone=hf": ["backbone.name=FacebookAI/roberta-base"],
    # any whole file will do: none is read
    **{f"backbone={name}": ["backbone.checkpoint=package:vit_tiny_patch8_32.safetensors"] for name in LOCAL},
}
ANSWERS = ("answer_folder", "answer_hub", "arithmetic", "e2e", "gsm8k", "svamp")
TEMPORAL = ("peft=st_adapter", "peft=aim")
CLIPS = "dataset=moving_digits"  # on which every method for pictures works, too
# what goes together where answers are written
GENERATE = (
    "task=generate",
    "head=unembedding",
    "loss=cross_entropy",
    "dataset=svamp",
    "backbone=tiny_causal",
)
CONTRAST = (
    "task=contrast",
    "head=similarity",
    "backbone=tiny_duo",
)  # and so where images are compared with names
DATA_OF_ONE_S_OWN = (
    *("aid", "hub", "image_folder", "mstar10_lt", "tiny_imagenet_32", "text_hub", "text_folder"),
    *(
        "image_list",
        "imagenet_lt",
        "places_lt",
        "inaturalist18",
        "resisc45",
        "eurosat",
        "fusrs",
        "fusrs_4",
        "dota",
        "vtab1k",
    ),
    *(
        f"coop_{name}"
        for name in ("caltech101", "oxford_pets", "stanford_cars", "flowers102", "food101", "fgvc_aircraft")
    ),
    *(f"coop_{name}" for name in ("sun397", "dtd", "eurosat", "ucf101", "imagenet")),
    *(f"fgvc_{name}" for name in ("cub", "nabirds", "flowers", "dogs", "cars")),
    *("video_folder", "ucf101", "hmdb51", "kinetics400", "something_something_v2"),
    *("trec_lt", "clinc150_lt", "banking77_lt", "sst2", "rte", "sick"),
    *ANSWERS,
)  # any folder will do: none is read
OF_TEXTS = (
    "peftlab.dataset.text.",
    "peftlab.backbone.hf.",
)  # which go together, and not with those of images
# every word of the command line that is a file of the package, and not another way to set one up
ONE_FILE_EACH = ("placement", "scaling", "head", "loss", "optim", "tracker", "scaling/estimator")

Node = dict[str, Any]
NEEDS_PEFT = {"placement=noah": "peft=noah", "placement=supernet": "peft=noah"}


def plain(config: Any) -> Any:
    return OmegaConf.to_container(config, resolve=True)


@pytest.fixture(scope="module")
def gamma_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    (folder / "gamma.csv").write_text("site,gamma,ratio\n0.q,1.5,0.1\n")
    (folder / "found.yaml").write_text('cells: {"0.q": {rank: 4}}\n')
    return str(folder)


@pytest.fixture(scope="module")
def composed(gamma_run: str) -> dict[str, Node]:
    """`group=name` of every YAML -> its node, from as few compositions as the largest group has files."""
    found: dict[str, Node] = {}
    with opened_configs():
        for number in range(max(map(len, CHOICES.values()))):
            words = [f"{group}={names[number % len(names)]}" for group, names in CHOICES.items()]
            extra = [word for choice in words for word in NEEDS.get(choice, [])]
            extra += [f"dataset.path={gamma_run}" for name in DATA_OF_ONE_S_OWN if f"dataset={name}" in words]
            for name, values in PLACEMENT.items():
                if f"placement={name}" in words:
                    extra += values + ([f"placement.run={gamma_run}"] if name == "from_gamma" else [])
                    extra += [f"placement.file={gamma_run}/found.yaml"] if name == "from_file" else []
            config = plain(compose("config", words + extra))
            for word in words:
                found[word] = config[word.partition("=")[0]]
    return found


@pytest.fixture(scope="module")
def default() -> Node:
    with opened_configs():
        return dict(plain(compose("config")))


def nodes(node: Any) -> list[Node]:
    """A node and all nodes with a _target_ in it."""
    if not isinstance(node, dict):
        return []
    inner = [found for value in node.values() for found in nodes(value)]
    return [node, *inner] if "_target_" in node else inner


def found_by_python(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("choice", [f"{group}={name}" for group, names in CHOICES.items() for name in names])
def test_every_choice_of_every_group_passes_every_check(
    choice: str, composed: dict[str, Node], default: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if choice == "backbone=smollm2_135m":
        monkeypatch.setenv("PEFTLAB_DATA", str(with_data(tmp_path)))
    group = choice.partition("=")[0]
    config = {**copy.deepcopy(default), group: composed[choice]}
    if choice == "peft=lora":
        assert composed[choice] == default["peft"]
    if choice in NEEDS_PEFT:
        config["peft"] = composed[NEEDS_PEFT[choice]]
    if choice == "placement=cells":
        assert len(place(resolve(config), block_labels(12), POSITIONS).parts["peft"]) == 1
    if choice in TEMPORAL:
        with pytest.raises(UserError, match=r"^peft\.parts\.\w+ \(\w+\) acts over the frames of clips, and "):
            resolve(config)
        config["dataset"] = composed[CLIPS]
    if choice in (*(f"peft={name}" for name in TWO_TOWERS), *CONTRAST[:2], "head=tip_adapter"):
        with pytest.raises(UserError, match=r" has one tower; legal: | does not go with "):
            resolve(config)
        config |= {word.partition("=")[0]: composed[word] for word in CONTRAST} | {group: composed[choice]}
    if choice in GENERATE[:2] or choice in [f"dataset={name}" for name in ANSWERS]:
        with pytest.raises(UserError, match=r" does not go with | reads images; "):
            resolve(config)
        config |= {word.partition("=")[0]: composed[word] for word in GENERATE} | {group: composed[choice]}
    elif composed[choice]["_target_"].startswith(OF_TEXTS):
        with pytest.raises(
            UserError, match=r" has (texts|images), and backbone\.name=\S+ reads (texts|images); "
        ):
            resolve(config)
        other = {"dataset": "backbone=tiny_text", "backbone": "dataset=sst2"}[group]
        config[other.partition("=")[0]] = composed[other]
    resolve(config)


@pytest.mark.parametrize("choice", [f"{group}={name}" for group, names in CHOICES.items() for name in names])
def test_the_keys_of_every_yaml_are_the_arguments_of_its_code(choice: str, composed: dict[str, Node]) -> None:
    """Asked of Python itself, and not of the reader of sources that `check` uses."""
    found = nodes(composed[choice])
    assert found[0] is composed[choice]
    for node in found:
        target = found_by_python(node["_target_"])
        assert "_partial_" not in node
        keys = {key for key in node if key != "_target_"}
        if choice.startswith("peft=") and "insertion" in keys:
            assert {"positions", "depth"} <= keys
            keys -= set(signature(PART).keys)
        if choice.startswith("placement="):
            assert {"budget", "tower"} <= keys
            keys -= {"budget", "tower"}
        parameters = inspect.signature(target).parameters.values()
        given = [parameter for parameter in parameters if parameter.name in keys]
        assert {parameter.name for parameter in given} == keys
        for parameter in parameters:
            kind, has_default = parameter.kind, parameter.default is not parameter.empty
            if parameter.name in keys:
                assert kind is parameter.KEYWORD_ONLY or inspect.isclass(target)
                assert not has_default, (
                    f"{node['_target_']}: {parameter.name} has a default beside the YAML's"
                )
            else:
                assert kind is not parameter.KEYWORD_ONLY, (
                    f"{choice}: nobody gives {parameter.name} of {node['_target_']}"
                )


@pytest.mark.parametrize("choice", [f"{group}={name}" for group, names in CHOICES.items() for name in names])
def test_every_target_is_in_the_package(choice: str, composed: dict[str, Node]) -> None:
    group = choice.partition("=")[0]
    for node in nodes(composed[choice]):
        assert node["_target_"].startswith("peftlab.")
        assert callable(found_by_python(node["_target_"]))
    home = {"fit": "peftlab.fit.plan."}.get(group, f"peftlab.{group}.")
    assert composed[choice]["_target_"].startswith(home)


def test_nodes_become_choices_and_so_do_the_nodes_in_them(composed: dict[str, Node]) -> None:
    for word in ("scaling=meta", "head=cosine", "optim=sgd", "loss=logit_adjusted", "dataset=digits_lt"):
        made = choice_of(composed[word])
        assert isinstance(made, Choice), word
        assert made.function is found_by_python(composed[word]["_target_"])
        assert all(not OmegaConf.is_config(value) for value in made.options.values())
        assert not any(isinstance(value, dict) and "_target_" in value for value in made.options.values())
        inner = {
            key for key, value in composed[word].items() if isinstance(value, dict) and "_target_" in value
        }
        assert {key for key, value in made.options.items() if isinstance(value, Choice)} == inner
    assert choice_of(composed["fit=default"])().epochs == composed["fit=default"]["epochs"]


def test_every_estimator_fits_and_is_checked(default: Node) -> None:
    with opened_configs():
        for path in sorted((CONFIGS / "scaling" / "estimator").glob("*.yaml")):
            config = plain(compose("config", ["scaling=meta", f"scaling/estimator={path.stem}"]))
            resolve(config)
            node = config["scaling"]["estimator"]
            assert node["_target_"] == f"peftlab.scaling.estimator.{path.stem}.{path.stem}"
            keys = {key for key in node if not key.startswith("_")}
            parameters = inspect.signature(found_by_python(node["_target_"])).parameters.values()
            assert keys == {
                parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY
            }


@pytest.mark.parametrize(("peft", "scaling"), list(product(CHOICES["peft"], CHOICES["scaling"])))
def test_every_method_with_every_scaling_passes_or_is_refused_with_a_sentence(
    peft: str, scaling: str, composed: dict[str, Node], default: Node
) -> None:
    config = {
        **copy.deepcopy(default),
        "peft": composed[f"peft={peft}"],
        "scaling": composed[f"scaling={scaling}"],
        "dataset": composed[CLIPS],
    }
    if peft in TWO_TOWERS:
        config |= {word.partition("=")[0]: composed[word] for word in CONTRAST} | {
            "dataset": default["dataset"]
        }
    node = composed[f"peft={peft}"]
    if any(part.insertion != "in_place" for part in parts_of(node)) or scaling == "fixed":
        resolve(config)
    else:
        name = parts_of(node)[0].form.word
        word = config["scaling"]["_target_"].split(".")[-2]
        with pytest.raises(
            UserError, match=f"^scaling={word} needs a delta to multiply, and {name} has none; legal: "
        ):
            resolve(config)


@pytest.mark.parametrize("peft", sorted({*CHOICES["peft"]} - {*TWO_TOWERS}))
def test_every_method_can_be_placed_at_each_of_its_positions_and_nowhere_else(
    peft: str, composed: dict[str, Node], default: Node
) -> None:
    parts = parts_of(composed[f"peft={peft}"])
    legal = {position for part in parts for position in part.positions}
    for position in POSITIONS if legal else ():
        config = {**copy.deepcopy(default), "peft": composed[f"peft={peft}"], "dataset": composed[CLIPS]}
        config["placement"]["position"] = position
        if position in legal:
            resolve(config)
            placed = place(resolve(config), block_labels(12), POSITIONS).parts
            depths = {part.name: part.depth for part in parts if position in part.positions}
            assert all(site.position == position for cells in placed.values() for site in cells)
            assert sum(map(len, placed.values())) == sum(
                NUM_BLOCKS.get(depth, 12) for depth in depths.values()
            )
        else:
            with pytest.raises(UserError, match=rf"^placement\.position={position} is not a position"):
                resolve(config)


# of twelve
NUM_BLOCKS = {
    0: 1,
    "0--2": 11,
    -1: 1,
    "1--1": 11,
    "0%-75.0%": 9,
    "75.0%-100%": 3,
    "0%-37.5%": 5,
    "87.5%-100%": 1,
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "methods")) for name in EXPERIMENTS]
)
def test_every_job_of_every_experiment_passes_every_check(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Composed as the sweep itself composes its jobs: the file's own params, one by one."""
    monkeypatch.setenv("PEFTLAB_DATA", str(with_data(tmp_path)))
    with opened_configs():
        loader = GlobalHydra.instance().config_loader()
        root = loader.load_configuration("config", [f"experiment={name}"], run_mode=RunMode.MULTIRUN)
        params = root.hydra.sweeper.get("params") or {}
        swept = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
        every = [[f"{o.key_or_group}={word}" for word in o.sweep_string_iterator()] if o.is_sweep_override()
                 else [str(o.input_line)] for o in swept]  # fmt: skip
        assert (root.hydra.mode == RunMode.MULTIRUN) == bool(params)
        # all values of each key, the others at their first: the sum of the axes and not their product
        firsts = [axis[0] for axis in every]
        jobs = {(*firsts[:i], word, *firsts[i + 1 :]) for i, axis in enumerate(every) for word in axis}
        bases: dict[tuple[str, ...], Any] = {}
        for job in sorted(jobs) or [()]:
            words = tuple(word for word in job if "." not in word.partition("=")[0])
            if words not in bases:
                bases[words] = compose("config", [f"experiment={name}", *words], return_hydra_config=True)
            config = copy.deepcopy(bases[words])
            for word in set(job) - set(words):  # as a dotted key of the command line is set
                override = OverridesParser.create().parse_override(word)
                OmegaConf.update(config, str(override.key_or_group), override.value(), merge=True)
            HydraConfig.instance().set_config(config)  # for what is looked up by the choice of a group
            resolve({key: value for key, value in plain(config).items() if key != "hydra"})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_says_its_command_its_cost_and_what_to_expect(name: str) -> None:
    text = (CONFIGS / "experiment" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n")
    header = text[: text.index("\n\n")] if "\n\n" in text else text
    for word in (f"Command:  peftlab experiment={name}", "Cost:", "Expected:"):
        assert word in header


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_passes_every_check_says_its_source_and_gives_way_to_what_is_typed(
    name: str, default: Node
) -> None:
    assert "\n# Source:" in (CONFIGS / "recipe" / f"{name}.yaml").read_text()
    with opened_configs():
        whole = plain(compose("config", [f"recipe={name}"]))
        typed = ["optim=adamw", "optim.lr=0.7", "fit.epochs=3", "fit.batch_size=5", "fit.warmup_epochs=0"]
        other = [
            plain(compose("config", words))
            for words in ([f"recipe={name}", *typed], [*typed, f"recipe={name}"])
        ]
    resolve(whole)
    assert whole.keys() == default.keys(), "a recipe is no key of its own: the hash is of what it sets"
    assert {key for key in whole if whole[key] != default[key]} <= {"optim", "fit"}
    for config in other:
        resolve(config)
        assert config["optim"]["_target_"].endswith(".adamw")
        assert (config["optim"]["lr"], config["fit"]["epochs"], config["fit"]["batch_size"]) == (0.7, 3, 5)


def test_the_default_recipe_is_what_the_groups_say_and_lift_is_the_published_one(default: Node) -> None:
    with opened_configs():
        assert plain(compose("config", ["recipe=default"])) == default
        lift = plain(compose("config", ["recipe=lift"]))
    optim, fit = lift["optim"], lift["fit"]
    assert optim["_target_"] == "peftlab.optim.sgd.sgd"
    assert (optim["lr"], optim["momentum"], optim["weight_decay"]) == (0.01, 0.9, 5e-4)
    assert (fit["batch_size"], fit["epochs"]) == (128, 10)


def test_an_experiment_goes_before_a_recipe_and_a_recipe_can_be_chosen_in_one() -> None:
    with opened_configs():
        config = plain(compose("config", ["experiment=noah"]))
        assert config["optim"]["_target_"].endswith(".sgd")
        assert config["fit"]["batch_size"] == 128
        config = OmegaConf.to_container(compose("config", ["recipe=lift", "experiment=methods"]))
    assert config["optim"]["_target_"].endswith(".adamw")
    assert config["fit"]["batch_size"] == 32


def test_there_are_experiments() -> None:
    assert "placement_grid" in EXPERIMENTS


def test_every_group_has_its_folder_and_every_folder_its_group() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    assert groups - folders == {"experiment", "recipe", "hydra"}  # parts of command lines, and Hydra's own
    # the stages of a run, and what is done with its results
    stages = {
        "build",
        "command",
        "config",
        "engine",
        "evaluate",
        "export",
        "figure",
        "inputs",
        "model",
        "network",
        "plugin",
        "predict",
    }
    assert folders - groups == {*stages, "record", "report", "run", "search", "statistics"}


def test_a_word_of_the_command_line_is_a_file_of_the_package() -> None:
    for group in ONE_FILE_EACH:
        folder = PACKAGE / group
        words = {path.stem: yaml.safe_load(path.read_text()) for path in (CONFIGS / group).glob("*.yaml")}
        assert words
        files = {path.stem for path in folder.rglob("*.py")}
        for word, node in words.items():
            base = node.get("defaults", [word])[0]  # scaling=gated_sublayer is gated with another default
            assert word in files or (base in files and word.startswith(f"{base}_")), (group, word)


def test_every_test_folder_mirrors_one_of_the_package() -> None:
    tests = Path(__file__).parent
    for path in tests.iterdir():
        if path.is_dir() and path.name not in ("__pycache__", "fixtures"):
            assert (PACKAGE / path.name / "__init__.py").exists(), path


@pytest.mark.parametrize("name", [name for name in YAMLS if not name.startswith("experiment/")])
def test_a_yaml_repeats_no_key(name: str) -> None:
    """YAML keeps the last of two equal keys and says nothing."""

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{name}: {keys}"
            return super().construct_mapping(node, deep)

    assert yaml.load((CONFIGS / f"{name}.yaml").read_text(), Strict)


def test_self_comes_first_in_the_defaults_list() -> None:
    """Last, it would discard what an experiment sets."""
    defaults = yaml.safe_load((CONFIGS / "config.yaml").read_text())["defaults"]
    assert defaults[0] == "_self_"
    assert {next(iter(item)) for item in defaults[1:] if not next(iter(item)).startswith("override")} == {
        *GROUPS,
        "experiment",
        "recipe",
    }


def test_no_yaml_writes_none_for_null() -> None:
    for name in YAMLS:
        loaded = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
        stack: list[Any] = [loaded]
        while stack:
            value = stack.pop()
            assert value not in ("None", "Null"), name
            stack += (
                list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
            )


def test_no_choice_has_a_name_that_the_command_line_cannot_say() -> None:
    parse: Callable[[str], Any] = OverridesParser.create().parse_override
    for group, names in CHOICES.items():
        for name in names:
            assert parse(f"{group}={name}").value() == name


ANY_OR_RANDOM = {"timm", "hf", "hf_clip", "open_clip", "tiny", "tiny_text", "tiny_causal", "tiny_duo"}


@pytest.mark.parametrize("name", sorted({*CHOICES["backbone"]} - ANY_OR_RANDOM))
def test_a_backbone_says_where_its_weights_come_from_and_their_licence(name: str) -> None:
    head = (CONFIGS / f"backbone/{name}.yaml").read_text().partition("\ndefaults:")[0]
    (line,) = [line for line in head.splitlines() if line.startswith("# weights: ")]
    source, _, licence = line.removeprefix("# weights: ").partition("; licence: ")
    assert source
    assert licence
    card = get_pretrained_cfg(name, allow_unregistered=True)
    if card is not None:
        assert f"huggingface.co/{card.hf_hub_id}" in source
        assert licence.partition(",")[0] == card.license
