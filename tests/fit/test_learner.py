"""A cell in training: its streams, what it owns, and its state."""

from typing import Any

import pytest
import torch

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.fit.fit import fit
from peftlab.fit.learner import Learner

SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "device=cpu")
META = ("scaling=meta", "scaling.outer.warmup=2", "scaling.outer.every=2")


@pytest.fixture
def make(composed: Any) -> Any:
    return lambda *words: build(resolve(composed(*SMALL, *words)))


def test_streams_and_widths_are_functions_of_seed_and_step(make: Any) -> None:
    learner: Learner = make("peft=dylora").learner
    other: Learner = make("peft=dylora", "seed=1").learner
    nows = [learner.now(0), learner.now(0), learner.now(1), other.now(0)]
    draws = [torch.rand(3, generator=now["rng"]) for now in nows]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])
    assert nows[0]["widths"] == nows[1]["widths"]
    widths = [tuple(own.now(index)["widths"].values()) for own in (learner, other) for index in range(8)]
    assert widths[:8] != widths[8:]
    assert all(len(set(own)) == 1 for own in widths), "one rank for the whole network"


@pytest.mark.parametrize("words", [(), ("scaling=learned",), META])
def test_it_owns_theta_and_a_gamma_that_is_learned_jointly(make: Any, words: tuple[str, ...]) -> None:
    experiment = make(*words)
    owned = {id(value) for value in experiment.learner.owned()}
    theta = {id(value) for value in experiment.cell.theta().values()}
    gamma = (
        {id(value) for value in experiment.cell.gamma.parameters()} if "scaling=learned" in words else set()
    )
    assert owned == theta | gamma


@pytest.mark.parametrize("words", [(), ("scaling=learned", "optim=adamw"), META])
def test_state_comes_back_and_holds_nothing_that_a_safe_load_refuses(
    make: Any, words: tuple[str, ...], tmp_path: Any
) -> None:
    one, other = make(*words), make(*words)
    for _ in fit(one.resolved.fit, one.network, [one.learner], start=0):
        pass
    torch.save(one.learner.state(), tmp_path / "state.pt")
    other.learner.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    first, second = one.cell.state(), other.cell.state()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    for own, theirs in zip(one.learner.optimizers, other.learner.optimizers, strict=True):
        saved, loaded = own.state_dict(), theirs.state_dict()
        assert saved["param_groups"] == loaded["param_groups"]
        assert saved["state"].keys() == loaded["state"].keys()
    assert (other.learner.outer is None) == (one.learner.outer is None) == (words != META)
    if one.learner.outer is not None:
        assert other.learner.outer.num_steps == one.learner.outer.num_steps > 0
