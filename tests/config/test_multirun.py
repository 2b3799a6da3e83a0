"""The jobs of a sweep are composed anew by Hydra; they still share its folder and know what is the same in all."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from peftlab.config.compose import opened_configs
from peftlab.config.multirun import Multirun
from peftlab.config.name import sweep_name


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoaderImpl]:
    with opened_configs():
        yield GlobalHydra.instance().config_loader()  # type: ignore[misc]


def master(loader: ConfigLoaderImpl, *words: str) -> DictConfig:
    """The sweep's own config, as `peftlab -m` makes it."""
    config = loader.load_configuration("config", list(words), run_mode=RunMode.MULTIRUN)
    Multirun().on_multirun_start(config=config, config_name="config")
    return config


def test_every_job_lies_in_the_folder_of_the_sweep(loader: ConfigLoaderImpl) -> None:
    sweep = master(loader, "peft.rank=1,2", "seed=0,1")
    expected = f"outputs/sweep/{sweep_name(sweep)}"
    jobs = [[f"peft.rank={rank}", f"seed={seed}"] for rank in (1, 2) for seed in (0, 1)]
    composed = [loader.load_sweep_config(copy.deepcopy(sweep), job) for job in jobs]
    assert {job.hydra.sweep.dir for job in composed} == {sweep.hydra.sweep.dir} == {expected}
    assert len({job.hydra.sweep.subdir for job in composed}) == 4


@pytest.mark.parametrize("given", ["here", "a b/c", "${peftlab.sweep:}", "/abs/o-l_d.1/x=y,z", "it's"])
def test_a_folder_that_was_asked_for_is_kept(loader: ConfigLoaderImpl, given: str) -> None:
    word = f'hydra.sweep.dir="{given}"'
    sweep = master(loader, "peft.rank=1,2", word)
    job = loader.load_sweep_config(sweep, ["peft.rank=1"])
    assert job.hydra.sweep.dir == sweep.hydra.sweep.dir
    assert "${" in given or job.hydra.sweep.dir == given


def test_jobs_are_named_by_what_is_swept(loader: ConfigLoaderImpl) -> None:
    """What is the same in all jobs is in the name of no job, whatever sign or value it was typed with."""
    words = [
        "scaling=meta",
        "scaling/estimator=unrolled",
        "++optim.lr=0.1",
        "~peft.dropout",
        "placement.depth=[0,1]",
    ]
    sweep = master(loader, *words, "peft.rank=1,2", "seed=0,1")
    job = loader.load_sweep_config(sweep, [*words, "peft.rank=2", "seed=1"])
    assert job.hydra.sweep.subdir.startswith("rank-2_seed-1-")


def test_constant_choices_join_the_excluded_keys_of_a_config_that_is_read_only() -> None:
    """As Hydra 1.4 hands it over."""
    typed = [
        "placement.depth=0-2,3-5",
        "fit.epochs=2",
        "seed=interval(0,3)",
        "peft=lora",
    ]  # which we cannot plan
    job = {"config": {"override_dirname": {"exclude_keys": ["tracker"]}}}
    hydra = {
        "overrides": {"task": typed, "hydra": ["x=1"]},
        "job": job,
        "sweeper": {},
        "sweep": {"dir": "here", "subdir": "${hydra.job.num}"},
    }
    config = OmegaConf.create({"hydra": hydra})
    OmegaConf.set_readonly(config, True)
    OmegaConf.set_readonly(config.hydra.overrides, True)
    Multirun().on_multirun_start(config)
    assert config.hydra.overrides.hydra == [
        "x=1",
        "hydra.job.config.override_dirname.exclude_keys=[tracker,fit.epochs,peft]",
        'hydra.sweep.dir="here"',
    ]
    assert OmegaConf.is_readonly(config.hydra.overrides.hydra)


def test_the_folders_that_a_single_run_makes_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Multirun, "missing", [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for given, expected in (
        ("there/a/b", [tmp_path / "there/a/b", tmp_path / "there/a"]),
        ("there", []),
        (str(tmp_path / "new"), [tmp_path / "new"]),
    ):
        Multirun().on_run_start(
            OmegaConf.create({"hydra": {"run": {"dir": given}, "overrides": {"task": []}}})
        )
        assert Multirun.missing == expected


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["peft.rank=0", "seed=0,1"], "peft.rank=0"),
        (["optim.lr=-1", "placement.position=[q,v],mlp1", "placement.depth=0,1"], "optim.lr=-1"),
        (["experiment=alpha", "backbone.checkpoint=/nowhere.pt"], "backbone.checkpoint=/nowhere.pt"),
        (["placement=from_file", "placement.file=/nowhere.yaml", "seed=0,1"], "placement.file"),
    ],
)
def test_what_is_wrong_with_every_job_is_refused_before_the_first(
    loader: ConfigLoaderImpl, capsys: pytest.CaptureFixture[str], words: list[str], key: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        master(loader, *words)
    assert stopped.value.code == 2
    assert key in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["peft.rank=0,8"], ["peft.rank=8,0"], ["scaling=meta", "peft=bitfit,lora"]]
)
def test_one_wrong_job_does_not_stop_a_sweep(loader: ConfigLoaderImpl, words: list[str]) -> None:
    master(loader, *words)
