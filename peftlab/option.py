"""What a config may say: kinds of value, and choices, which are functions of this package with their options.

`peftlab.config.signature` reads the names of the kinds from signatures and refuses a value of another kind before torch is imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple


class Range(NamedTuple):
    """The numbers between `low` and `high`; `ends` as mathematics writes them: "[)" has `low` and not `high`.

    Every option that is a number says its range in its annotation, `Annotated[int, Range(1, 64)]` or one of the kinds
    below: what it can mean, and no more than a machine can hold.
    """

    low: float | int
    high: float | int
    ends: Literal["[]", "(]", "[)", "()"] = "[]"

    def holds(self, value: float | int) -> bool:
        """Whether `value` is one of them; NaN is in no range."""
        return self.low <= value <= self.high and not (
            (value == self.low and self.ends[0] == "(") or (value == self.high and self.ends[1] == ")")
        )

    def text(self, noun: str) -> str:
        """In words: `a number from 0 to below 1`."""
        low, high = (str(int(end)) if end == int(end) else str(end) for end in (self.low, self.high))
        if self.ends[0] == "(":
            return f"{noun} above {low} and {'below' if self.ends[1] == ')' else 'at most'} {high}"
        return f"{noun} from {low} to {'below ' if self.ends[1] == ')' else ''}{high}"


PositiveInt = Annotated[int, Range(1, 1_000_000)]
NonNegativeInt = Annotated[int, Range(0, 1_000_000)]
PositiveFloat = Annotated[float | int, Range(0, 1_000_000, "(]")]
NonNegativeFloat = Annotated[float | int, Range(0, 1_000_000)]
Finite = Annotated[float | int, Range(-1_000_000, 1_000_000)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
Fraction = Annotated[float | int, Range(0, 1)]
Share = Annotated[float | int, Range(0, 1, "()")]  # of items, of which both sides get some
BelowOne = Annotated[
    float | int, Range(0, 1, "[)")
]  # dropout, momentum and betas, of which 1 lets nothing through
Imbalance = Annotated[float | int, Range(1, 1_000_000)]  # largest class over smallest
Width = Annotated[int, Range(1, 4096)]  # of a delta: rank, bottleneck, length, num_tokens
NumBlocks = Annotated[int, Range(1, 1000)]
LearningRate = Annotated[float | int, Range(0, 1000, "(]")]
Decay = Annotated[float | int, Range(0, 1000)]


@dataclass(frozen=True)
class Choice:
    """A function or class of this package with its options, to be called with the rest of its arguments.

    `peft=lora` is Choice("peftlab.peft.lora.Lora", {"rank": 8, ...}). An option that is a choice is handed on as it is:
    whoever takes it calls it. Nothing is imported before `function` is asked for.
    """

    target: str
    options: Mapping[str, Any]

    @property
    def word(self) -> str:
        """What people type to choose it, which is the name of its file."""
        return self.target.split(".")[-2]

    @property
    def function(self) -> Callable[..., Any]:
        """What the target names."""
        module, _, name = self.target.rpartition(".")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function

    def __call__(self, *args: Any, **more: Any) -> Any:
        """What the function gives; `more` replaces options of the same name."""
        return self.function(*args, **{**self.options, **more})
