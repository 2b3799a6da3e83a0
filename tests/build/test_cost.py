"""What a run costs, said from shapes and from steps on random images."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from peftlab.build.cost import measured, num_train, trained
from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.config.summary import num_trained
from peftlab.errors import UserError

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
