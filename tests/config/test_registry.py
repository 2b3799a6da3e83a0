"""A `_target_` names a registered function of its place, at any depth and from any source; people's own by trust alone."""

import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.configs import composed

from peftlab.config.file import config_text, read_config
from peftlab.config.registry import HYBRID, check_targets, registered, targets_of
from peftlab.config.resolve import resolve, resolve_again
from peftlab.config.schema import GROUPS
from peftlab.config.signature import signature
from peftlab.errors import UserError

HOSTILE = [
    "torch.load", "joblib.load", "pandas.read_pickle", "builtins.open", "builtins.eval", "os.system", "os.remove",
    "subprocess.Popen", "pathlib.Path.unlink", "shutil.rmtree", "pickle.loads", "importlib.import_module",
    "hydra.utils.get_method", "yaml.unsafe_load", "timm.create_model", "numpy.load", "runpy.run_path",
    # functions of the project, of other rooms and other groups
    "peftlab.record.whole_file.write_whole", "peftlab.command.train.main", "peftlab.run.run.run", "peftlab.option.Choice",
    "peftlab.record.record.Record", "peftlab.search.stages.run_found", "peftlab.model.load.load",
    # spelled strangely
    "p\u0435ftlab.peft.lora.Lora", "peftlab.peft.lora.Lora ", "peftlab.peft.lora.Lora\n", "peftlab.peft.lora.lora",
    "PEFTLAB.peft.lora.Lora", "peftlab.peft.lora.Lora.__init__", "peftlab.peft.lora", "peftlab", "", ".", "os",
    "..os.system", "peftlab.peft.lora.nn.Module", "__main__.main", "\u202epeftlab.peft.lora.Lora",
    3, None, True, 1.5, ["os.system"], {"_target_": "os.system"}, ["peftlab.peft.lora.Lora"],
]  # fmt: skip
DEEP = [
    "backbone.model_args.x", "backbone.model_args.x.y.z", "dataset.groups", "dataset.groups.head", "dataset.source.folder",
    "dataset.crop_scale", "recipes", "recipes.a", "peft.positions", "peft.rank", "placement.depth", "fit.epochs",
    "scaling.value", "tracker.x", "head.scale", "device",
]  # fmt: skip


def put(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *folders, last = path.split(".")
    node = config
    for key in folders:
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    node[last] = value
    return config


@pytest.fixture
def config() -> dict[str, Any]:
    return composed("backbone=tiny")


@pytest.mark.parametrize("target", HOSTILE, ids=repr)
def test_a_foreign_target_is_refused_at_every_place(target: Any) -> None:
    hybrid = composed("peft=mam", "scaling=meta")
    for place in [*GROUPS, "dataset.source", "scaling.outer", "scaling.estimator", "peft.parts.prefix"]:
        changed = put(deepcopy(hybrid), f"{place}._target_", target)
        with pytest.raises(UserError, match=r"names a function|is none of the project's") as error:
            check_targets(changed)
        assert place in str(error.value)
        assert "trust=" in str(error.value) or "_target_" in str(error.value)


@pytest.mark.parametrize("path", DEEP)
def test_a_target_where_none_belongs_is_refused(config: dict[str, Any], path: str) -> None:
    """Also one that is fine elsewhere, in a mapping, in a list, in a list of lists."""
    for node in (
        {"_target_": "peftlab.peft.lora.Lora"}, {"_target_": "os.system"}, [{"_target_": "os.system"}],
        [[1, {"x": {"_target_": "os.system"}}]], {"_target_": None},
    ):  # fmt: skip
        with pytest.raises(UserError):
            check_targets(put(deepcopy(config), path, node))
    if path not in ("device", "recipes"):
        with pytest.raises(UserError, match=r"_target_=os.system names a function|is not legal"):
            resolve(put(config, path, [{"_target_": "os.system"}]))


def test_a_function_of_another_group_is_refused(config: dict[str, Any]) -> None:
    """Everything that is registered, at every place where it is not."""
    every = {target for targets in registered().values() for target in targets}
    for place, legal in registered().items():
        node = "peft.parts.a" if place == "peft.parts." else place
        for target in every:
            words = put({}, f"{node}._target_", target)
            if target in legal:
                check_targets(words)
            else:
                with pytest.raises(UserError):
                    check_targets(words)


def test_what_the_configs_name_is_registered_and_has_a_signature() -> None:
    assert set(GROUPS) <= registered().keys()
    assert HYBRID in registered()["peft"]
    assert HYBRID not in registered()["peft.parts."]
    for targets in registered().values():
        for target in targets:
            assert target.startswith("peftlab.")
            signature(target)


@pytest.mark.parametrize("word", ["os", "peftlab.record", "../x", "", "torch.hub", "a b", "é", "os.system"])
def test_trust_is_a_list_of_packages(config: dict[str, Any], word: str) -> None:
    """And one of them does not open other packages."""
    config = put({**config, "trust": [word]}, "head._target_", "subprocess.Popen")
    with pytest.raises(UserError):
        resolve(config)


def test_a_method_of_ones_own(config: dict[str, Any], own: str) -> None:
    config = put(config, "peft._target_", "people_own.delta.Own")
    with pytest.raises(UserError, match=r"peft._target_=people_own.delta.Own is none of .*trust=\[PACKAGE\]"):
        resolve(config)
    resolved = resolve({**config, "trust": [own]})
    assert not [name for name in sys.modules if name.startswith("people_own.")]  # read, not imported
    assert {"Own", "Lora", "Delta"} <= resolved.parts[0].traits
    assert resolved.parts[0].form.function.__name__ == "Own"
    with pytest.raises(UserError, match=r"peft.rank=-1 is not legal"):
        resolve(put({**config, "trust": [own]}, "peft.rank", -1))


def test_a_data_set_of_ones_own(config: dict[str, Any], own: str) -> None:
    config = put(
        {**config, "trust": [own]}, "dataset.source", {"_target_": "people_own.data.fewer", "num": 1}
    )
    source = resolve(config).dataset.options["source"]
    assert (source.target, source.word, source.options) == ("people_own.data.fewer", "data", {"num": 1})
    with pytest.raises(UserError, match=r"dataset.source.num=many is not legal"):
        resolve(put(config, "dataset.source.num", "many"))
    with pytest.raises(UserError, match=r"people_own.data.more does not exist"):
        resolve(put(config, "dataset.source._target_", "people_own.data.more"))


def test_a_run_folder_trusts_nobody(config: dict[str, Any], own: str, tmp_path: Path) -> None:
    config = put({**config, "trust": [own]}, "peft._target_", "people_own.delta.Own")
    (tmp_path / "config.yaml").write_text(config_text(config))
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["trust"] == [own]
    found = read_config(tmp_path)
    assert found["trust"] == []
    with pytest.raises(UserError, match="is none of the project's functions"):
        resolve_again(found)
    assert resolve_again({**found, "trust": [own]}).root.trust == [own]


def test_trusted_targets_stand_in_lists_too() -> None:
    assert list(targets_of({"a": [{"_target_": 1}, {"b": {"_target_": 2}}]})) == [("a.0", 1), ("a.1.b", 2)]
