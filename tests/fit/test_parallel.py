"""What ranks share and add up, with two real processes: forked ones, which have computed no gradient."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.fit.parallel import ALONE, Ranks
from peftlab.inputs.batch import Batch, Mixed

Found = list[dict[str, Any]]


def on_two(work: Callable[[Ranks], dict[str, Any]], place: Path) -> Found:
    """What `work` gives in each of two processes, as JSON."""

    def child(rank: int) -> None:
        store = f"file://{place}/store"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
        (place / f"{rank}.json").write_text(json.dumps(work(Ranks(rank, 2))))
        dist.destroy_process_group()

    pids = []
    for rank in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                child(rank)
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    return [json.loads((place / f"{rank}.json").read_text()) for rank in range(2)]


def batch(num: int) -> Batch:
    return Batch({"images": torch.arange(num).float()[:, None]}, torch.arange(num), torch.arange(num))


def _mixed(own: Batch) -> list[Any]:
    assert own.mixed is not None
    return [own.mixed.targets.tolist(), own.mixed.share]


def refuse() -> int:
    raise UserError("the folder is another one's; legal: a new one")


def work(ranks: Ranks) -> dict[str, Any]:
    trained = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    trained[0].grad = torch.full((2,), 1.0 + ranks.rank)
    if ranks.rank:
        trained[1].grad = torch.tensor([5.0, 6.0])
    numbers = ranks.add(trained, [0.5, 0.25 * ranks.rank])
    computed: list[int] = []

    def outputs(inputs: dict[str, Tensor]) -> Tensor:
        computed.append(len(inputs["images"]))
        return 10 * inputs["images"]

    whole = [ranks.whole(outputs)(batch(num).inputs).flatten().tolist() for num in (5, 4, 1)]
    try:
        ranks.first(refuse)
        said = ""
    except UserError as error:
        said = str(error)
    return {
        "grads": [None if value.grad is None else value.grad.tolist() for value in trained],
        "numbers": numbers,
        "rows": ranks.share(batch(5)).rows.tolist(),
        "none": len(ranks.share(batch(1)).rows),
        "mixed": _mixed(ranks.share(batch(5)._replace(mixed=Mixed(torch.arange(5), 0.3)))),
        "whole": whole,
        "computed": computed,
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "sum": ranks.sum(ranks.rank + 3),
        "mean": ranks.mean(torch.tensor([1.0 + ranks.rank])).tolist(),
        "first": ranks.first(lambda: ranks.rank + 7),
        "said": said,
    }


def test_two_ranks_do_what_one_would(tmp_path: Path) -> None:
    found = on_two(work, tmp_path)
    for one in found:
        assert one["grads"] == [[3.0, 3.0], [5.0, 6.0], None], "sums; what none has stays without a gradient"
        assert one["numbers"] == [1.0, 0.25]
        assert one["whole"] == [[0.0, 10.0, 20.0, 30.0, 40.0], [0.0, 10.0, 20.0, 30.0], [0.0]]
        assert one["any"] == [True, False]
        assert (one["sum"], one["mean"], one["first"]) == (7, [1.5], 7)
        assert one["said"] == "the folder is another one's; legal: a new one"
    assert [one["rows"] for one in found] == [[0, 2, 4], [1, 3]]
    assert [one["none"] for one in found] == [1, 0]
    assert [one["mixed"] for one in found] == [[[0, 2, 4], 0.3], [[1, 3], 0.3]]
    assert [one["computed"] for one in found] == [[3, 2, 1], [2, 2, 1]]


def test_alone_nothing_changes() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    whole = batch(3)
    assert ALONE.share(whole) is whole
    assert ALONE.add([parameter], [1.5]) == [1.5]
    assert parameter.grad is None
    assert (ALONE.sum(3), ALONE.any(True), ALONE.first(lambda: 4)) == (3, True, 4)
    assert ALONE.whole(refuse) is refuse  # type: ignore[arg-type, comparison-overlap]
    with pytest.raises(UserError):
        ALONE.first(refuse)
