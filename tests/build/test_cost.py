"""What a run costs, said from shapes and from steps on random inputs."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from peftlab.backbone.choice import shapes_of
from peftlab.build.cost import measured, num_train, trained
from peftlab.build.experiment import build
from peftlab.build.trunk import open_dataset
from peftlab.config.resolve import resolve
from peftlab.config.summary import num_trained
from peftlab.dataset.batches import Draws
from peftlab.errors import UserError
from peftlab.network.network import Network

Change = Callable[..., dict[str, Any]]
TINY = {"backbone": "tiny"}
CPU = torch.device("cpu")
SMALL = {"fit.batch_size": 4, "device": "cpu"}


@pytest.mark.parametrize("peft", ["lora", "bitfit", "vpt_deep", "adaptformer"])
def test_as_many_parameters_as_the_run_has(change: Change, peft: str) -> None:
    resolved = resolve(change(SMALL, **TINY, peft=peft))
    assert trained(resolved) == num_trained(build(resolved).cell.num_parameters())


def test_a_step_takes_time(change: Change) -> None:
    found = measured(resolve(change({**SMALL, "fit.precision": "bf16", "fit.accumulate": 2}, **TINY)), CPU)
    assert found is not None
    assert 0 < found < 10


def test_what_only_images_can_say_is_not_said(change: Change) -> None:
    resolved = resolve(change(SMALL, **TINY, peft="mask_random"))
    assert (trained(resolved), measured(resolved, CPU)) == (None, None)


def test_a_method_that_cannot_work_is_refused(change: Change) -> None:
    with pytest.raises(UserError, match=r"peft\.rank=65"):
        trained(resolve(change({**SMALL, "peft.rank": 65}, **TINY)))


def test_training_items_are_counted_where_the_data_are(
    change: Change, composed: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)
    best = resolve(change({**SMALL, "fit.select": "best"}, **TINY))
    assert num_train(resolve(change(SMALL, **TINY))) == 277
    assert num_train(best) == len(build(best).train) == 250
    assert num_train(resolve(composed("backbone=tiny", "dataset=cifar100"))) is None  # on the hub


@pytest.mark.parametrize("hold_out", [False, True])
def test_items_that_gamma_alone_is_learned_on_are_not_counted(change: Change, hold_out: bool) -> None:
    resolved = resolve(change({**SMALL, "scaling.outer.hold_out": hold_out}, **TINY, scaling="meta"))
    assert num_train(resolved) == len(build(resolved).train) == (221 if hold_out else 277)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Of what the steps that are measured read."""
    found, own = list[tuple[int, ...]](), Network.outputs

    def seen(self: Network, cells: Any, inputs: dict[str, torch.Tensor]) -> Any:
        found.append(tuple(next(iter(inputs.values())).shape))
        return own(self, cells, inputs)

    monkeypatch.setattr(Network, "outputs", seen)
    return found


@pytest.mark.parametrize("frames", [2, 4])
def test_clips_have_as_many_frames_as_the_data(
    change: Change, shapes: list[tuple[int, ...]], frames: int
) -> None:
    words = {**SMALL, "dataset.frames": frames}
    assert measured(resolve(change(words, backbone="tiny", dataset="moving_digits")), CPU) is not None
    assert {shape[:2] for shape in shapes} == {(4, frames)}


def test_texts_are_as_long_as_those_of_a_batch_and_of_memory_the_longest_is_asked(
    composed: Callable[..., dict[str, Any]], shapes: list[tuple[int, ...]], tmp_path: Path
) -> None:
    rows = "\n".join(f"{'word ' * (1 + 3 * number)},{'no' if number < 4 else 'yes'}" for number in range(8))
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows.replace('word', name)}\n")
    words = (f"dataset.path={tmp_path}", "fit.batch_size=3", "device=cpu")
    resolved = resolve(composed("backbone=tiny_text", "dataset=text_folder", *words))
    assert measured(resolved, CPU) is not None
    data = open_dataset(resolved, shapes_of(resolved.backbone))
    batches = data.train_batches(data.train, batch_size=3, draws=Draws(0))
    widths = [batch.inputs["input_ids"].shape[1] for batch in islice(batches.iterate(0), 3)]
    assert shapes == [(3, max(widths)), *[(3, round(sum(widths) / 3))] * 3]
    assert max(widths) > min(widths)
