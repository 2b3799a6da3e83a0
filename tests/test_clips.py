"""Clips from the command's config to the test: what is blind to the order of frames stays at 1/2 of a pair, what sees it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from peftlab.build.experiment import build
from peftlab.command.predict import main as predict
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.export.export import export
from peftlab.fit.fit import fit
from peftlab.model.load import load

Config = Callable[..., dict[str, Any]]
SHORT = ("dataset=moving_digits", "dataset.source.num_train=128", "fit.epochs=3", "device=cpu")
WIDTH = 64
LONGER = (
    "optim.lr=0.005",
    "fit.epochs=6",
    "dataset.frames=2",
)  # positions of frames start at zero and take their time


class Right(NamedTuple):
    """Shares of the test clips: the pair of classes, and the class if the pair is given."""

    pair: float
    within: float


def trained(composed: Config, *words: str) -> Right:
    """After 72 steps on 32 clips, by default."""
    experiment = build(resolve(composed(*SHORT, *words)))
    for _ in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0):
        pass
    experiment.cell.eval()
    outputs, said, labels = experiment.outputs(is_test=True), [], []
    with torch.no_grad():
        for batch in experiment.trunk.batches(experiment.trunk.dataset.open_test()):
            said.append(outputs(batch.inputs))
            labels.append(batch.targets)
    logits, true = torch.cat(said).unflatten(1, (3, 2)), torch.cat(labels)
    pair, own = logits.flatten(1).argmax(1) // 2, logits[torch.arange(len(true)), true // 2].argmax(1)
    return Right((pair == true // 2).double().mean().item(), (own == true % 2).double().mean().item())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "least"),
    [
        (("peft=st_adapter", *(f"peft.parts.{name}.bottleneck={WIDTH}" for name in ("attention", "mlp")), "optim.lr=0.01"), 0.75),
        (("peft=aim", *(f"peft.parts.{name}.bottleneck={WIDTH}" for name in ("time", "space", "joint")), *LONGER), 0.65),
    ],
    ids=["st_adapter", "aim"],
)  # fmt: skip
def test_temporal_methods_tell_a_movement_from_the_same_backwards(
    composed: Config, words: tuple[str, ...], least: float
) -> None:
    found = trained(composed, *words)
    assert found.pair > 0.9
    assert found.within > least


@pytest.mark.slow
def test_frame_by_frame_a_pair_is_told_and_nothing_within_it(composed: Config) -> None:
    words = ("peft=adapter_houlsby", f"peft.bottleneck={WIDTH}", "placement.depth=6-11", "optim.lr=0.01")
    found = trained(composed, *words)
    assert found.pair > 0.9
    assert (
        abs(found.within - 0.5) < 0.02
    )  # both clips of a pair have the same frames: only rounding tells them apart


def test_a_run_on_clips_from_the_config_to_the_test(composed: Config) -> None:
    """Small: what a clip is comes from the data, and every part of a run takes it."""
    small = ("backbone=tiny", "dataset.source.num_train=4", "dataset.source.num_test=2", "fit.epochs=1")
    for words in (("peft=aim",), ("peft=lora", "dataset.num_clips=2"), ("peft=st_adapter", "fit.mixup=0.5")):
        found = trained(composed, *small, *words)
        assert 0 <= found.pair <= 1


def test_a_run_on_clips_is_finished_loaded_and_exported(
    call: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What acts frame by frame leaves as a network for pictures, whose outputs are averaged; what does not is refused."""
    small = (
        "backbone=tiny",
        *SHORT[:1],
        "dataset.source.num_train=4",
        "dataset.source.num_test=2",
        "fit.epochs=1",
    )
    for name, words in (
        ("frames", ("peft=lora", "head=linear", "dataset.num_clips=2")),
        ("time", ("peft=aim",)),
    ):
        done = call(*small, *words, "device=cpu", f"hydra.run.dir={name}")
        assert done.code == 0, done.err
        assert load(tmp_path / name)(clips=torch.randn(2, 4, 3, 32, 32)).shape == (2, 6)
    card = export(tmp_path / "frames", "timm", tmp_path / "timm", rank=None, images=None)
    assert card["largest_logit"] > 0
    assert card["largest_logit_difference"] < 1e-4
    with pytest.raises(UserError, match=r"no place for .*FramePosition at 0\.tokens \(it is not linear\)"):
        export(tmp_path / "time", "timm", tmp_path / "other", rank=None, images=None)
    export(tmp_path / "time", "adapter", tmp_path / "adapter", rank=None, images=None)
    with pytest.raises(SystemExit):
        predict([str(tmp_path / "time"), str(tmp_path)])
    assert (
        "gives images, and the run reads clips; legal: peftlab.load(RUN)(clips=TENSOR)"
        in capfd.readouterr().err
    )
