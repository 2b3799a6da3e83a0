"""Which choices are the same in every job of a sweep."""

from omegaconf import OmegaConf

from peftlab.config.swept import Swept


def test_constant_choices_join_the_excluded_keys() -> None:
    config = OmegaConf.create(
        {
            "hydra": {
                "overrides": {
                    "task": ["placement.depth=0-2,3-5", "fit.epochs=2", "seed=range(3)", "peft=lora"],
                    "hydra": ["x=1"],
                },
                "job": {"config": {"override_dirname": {"exclude_keys": ["tracker"]}}},
            }
        }
    )
    OmegaConf.set_readonly(config, True)
    Swept().on_multirun_start(config)
    assert config.hydra.overrides.hydra == [
        "x=1",
        "hydra.job.config.override_dirname.exclude_keys=[tracker,fit.epochs,peft]",
    ]
