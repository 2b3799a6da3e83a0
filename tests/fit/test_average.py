"""The moving average of what a cell trains: against its sum, and that it is what is validated, tested and kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.fit.average import Average
from peftlab.fit.fit import fit

SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "optim.lr=0.1", "device=cpu")


def test_it_is_the_sum_of_all_states_with_weights_that_fall_by_the_decay() -> None:
    states = list(torch.randn(6, 3, 2, dtype=torch.float64, generator=torch.manual_seed(0)))
    average = Average(0.7, {"w": states[0], "index.w": torch.tensor([1, 5])})
    for state in states[1:]:
        average.update({"w": state, "index.w": torch.tensor([1, 5])})
    weights = [0.7**5, *(0.3 * 0.7 ** (5 - n) for n in range(1, 6))]
    assert sum(weights) == pytest.approx(1)
    expected = torch.einsum("n, nij -> ij", torch.tensor(weights, dtype=torch.float64), torch.stack(states))
    torch.testing.assert_close(average.values["w"], expected, atol=1e-14, rtol=0)
    assert average.values["index.w"].tolist() == [1, 5]


@pytest.mark.parametrize(
    "words", [("peft=bitfit",), ("scaling=meta", "scaling.outer.warmup=1", "scaling.outer.every=2")]
)
def test_training_goes_on_from_what_is_trained_and_evaluation_sees_the_average(
    composed: Callable[..., dict[str, Any]], words: tuple[str, ...]
) -> None:
    plain, averaged = (build(resolve(composed(*SMALL, *words, *more))) for more in ((), ("fit.ema=0.9",)))
    mean = {name: value.clone() for name, value in averaged.cell.state().items()}
    assert averaged.learner.average is not None
    steps = zip(
        fit(plain.resolved.fit, plain.network, [plain.learner], start=0),
        fit(averaged.resolved.fit, averaged.network, [averaged.learner], start=0),
        strict=True,
    )
    for one, other in steps:
        assert one[0].loss == other[0].loss
        for name, value in plain.cell.state().items():
            mean[name] = mean[name] * 0.9 + value * 0.1 if value.is_floating_point() else value
        with averaged.learner.evaluated():
            for name, value in averaged.cell.state().items():
                torch.testing.assert_close(value, mean[name], atol=1e-6, rtol=1e-6)
        for name, value in plain.cell.state().items():
            assert torch.equal(value, averaged.cell.state()[name])
    if "scaling=meta" in words:
        assert not torch.equal(averaged.learner.average.values["gamma.raw"], plain.cell.state()["gamma.raw"])


def test_only_a_decay_between_0_and_1_is_legal(composed: Callable[..., dict[str, Any]]) -> None:
    for value in ("0", "1", "-0.1"):
        with pytest.raises(Exception, match=r"fit\.ema"):
            resolve(composed(*SMALL, f"fit.ema={value}"))
