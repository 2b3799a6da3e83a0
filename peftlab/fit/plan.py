"""fit=...: how long, on what and with what is selected. Without torch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from peftlab.errors import UserError
from peftlab.option import NonNegativeFloat, PositiveFloat, PositiveInt, Range, Share


@dataclass(frozen=True)
class Plan:
    """Units: epochs of the training split; `batch_size` items per forward, `accumulate` forwards per step.

    Without an epoch there is the test alone, of what a method starts from; `start_from` is the folder of a run that it starts where
    that one ended. `stop_after` ends the training early on the schedule of
    all `epochs`, or before the test (`end`); without it, or with a later one, it goes on.
    """

    epochs: Annotated[int, Range(0, 100_000)]
    start_from: str | None
    batch_size: Annotated[int, Range(1, 65_536)]
    sampler: Literal["uniform", "class_balanced", "square_root"]
    accumulate: Annotated[int, Range(1, 65_536)]
    warmup_epochs: Annotated[float | int, Range(0, 100_000)]
    clip_norm: PositiveFloat | None
    precision: Literal["fp32", "bf16"]
    ema: Share | None
    compile: bool
    checkpointing: bool
    mixup: NonNegativeFloat
    cutmix: NonNegativeFloat
    prograd: PositiveFloat | None
    select: Literal["last", "best"]
    eval_every: PositiveInt | None
    save_every: PositiveInt
    stop_after: Annotated[int, Range(1, 100_000)] | Literal["end"] | None
    eval_batch_size: Annotated[int, Range(1, 65_536)]

    @property
    def mixes(self) -> bool:
        """Whether images are mixed in training."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def last_epoch(self) -> int | None:
        """The epoch after which the run stops without a test; None if it is tested."""
        if self.stop_after == "end":
            return self.epochs
        return self.stop_after if self.stop_after is not None and self.stop_after < self.epochs else None


def check_plan(plan: Plan) -> None:
    """Warm-up leaves something of the training.

    Raises:
        UserError: if not.
    """
    if plan.epochs and plan.warmup_epochs >= plan.epochs:
        raise UserError(
            f"fit.warmup_epochs={plan.warmup_epochs} leaves none of fit.epochs={plan.epochs}; legal: fewer"
        )
