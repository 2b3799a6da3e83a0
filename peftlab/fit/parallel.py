"""One run on several processes: which rows of a batch each of them computes, and what they add up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from peftlab.inputs.batch import Batch

T = TypeVar("T")
Outputs = Callable[[dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `world`. What it calls here, all of them call, in the same order.

    `device` is where tensors travel. Alone, nothing is sent and every method gives back what it was given.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.world == 1

    def share(self, batch: Batch) -> Batch:
        """The rows rank, rank + world, ... of a batch; there may be none."""
        if self.alone:
            return batch
        own = slice(self.rank, None, self.world)
        inputs = {name: value[own] for name, value in batch.inputs.items()}
        mixed = batch.mixed and batch.mixed._replace(targets=batch.mixed.targets[own])
        return Batch(inputs, batch.targets[own], batch.rows[own], mixed)

    def sum(self, number: int) -> int:
        """Of all ranks."""
        if self.alone:
            return number
        total = torch.tensor([number], dtype=torch.int64)
        dist.all_reduce(total)
        return int(total)

    def add(self, trained: Sequence[nn.Parameter], numbers: list[float]) -> list[float]:
        """The sums of `numbers`, and in place those of the gradients, in one message: frozen tensors are not in it.

        A tensor that has no gradient on any rank has none afterwards.
        """
        if self.alone:
            return numbers
        grads = [value.grad for value in trained]
        has = torch.tensor([float(grad is not None) for grad in grads])
        flat = [
            torch.zeros_like(value) if grad is None else grad
            for value, grad in zip(trained, grads, strict=True)
        ]
        beside = torch.cat([has, torch.tensor(numbers)]).to(self.device)
        whole = torch.cat([beside, *(grad.reshape(-1).float() for grad in flat)])
        dist.all_reduce(whole)
        found = whole.split([len(has), len(numbers), *(grad.numel() for grad in flat)])
        for value, known, grad in zip(trained, found[0].tolist(), found[2:], strict=True):
            value.grad = grad.view_as(value).to(value) if known else None
        return [float(number) for number in found[1]]

    def mean(self, tensor: Tensor) -> Tensor:
        """Over all ranks, the same on each to the last bit."""
        if self.alone:
            return tensor
        total = tensor.to(self.device, copy=True)
        dist.all_reduce(total)
        return (total / self.world).to(tensor)

    def whole(self, outputs: Outputs) -> Outputs:
        """`outputs` of a whole batch, of which each rank computes its own rows; no row is computed twice."""
        if self.alone:
            return outputs

        def answer(inputs: dict[str, Tensor]) -> Tensor:
            num = len(next(iter(inputs.values())))
            own = torch.arange(self.rank, num, self.world)
            rows = own if len(own) else torch.zeros(1, dtype=torch.int64)  # a batch of fewer rows than ranks
            part = outputs({name: value[rows.to(value.device)] for name, value in inputs.items()}).float()
            padded = part.new_zeros((-(-num // self.world), *part.shape[1:]))
            padded[: len(own)] = part[: len(own)]
            parts = [torch.empty_like(padded) for _ in range(self.world)]
            dist.all_gather(parts, padded)
            return torch.stack(parts, dim=1).flatten(0, 1)[:num]  # row by row, as they were dealt out

        return answer

    def any(self, flag: bool) -> bool:
        """Whether it is true of some rank."""
        return flag if self.alone else self.sum(int(flag)) > 0

    def first(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0, on all of them. An error that it raises there is raised on all of them.

        For decisions that one process takes, as whether a folder may be written.
        """
        if self.alone:
            return make()
        found: list[Any] = [None, None]
        if self.rank == 0:
            try:
                found[0] = make()
            except Exception as error:
                found[1] = error
        dist.broadcast_object_list(found, src=0)
        if found[1] is not None:
            raise found[1]
        value: T = found[0]
        return value


ALONE = Ranks()
