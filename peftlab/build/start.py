"""What a cell starts from beside its config."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from peftlab.build.scorer import Scorer
from peftlab.errors import UserError


@dataclass(frozen=True)
class Start:
    """Its head, what can be measured on training data (None: nothing), and the positions of masked weights that were
    chosen before, by weight (None: they are chosen now)."""

    head: nn.Module
    scorer: Scorer | None = None
    indices: Mapping[str, Tensor] | None = None

    def measured(self) -> Scorer:
        """The scorer.

        Raises:
            UserError: if there is none.
        """
        if self.scorer is None:
            raise UserError("peft: this method scores weights on training items, and there are none here")
        return self.scorer
