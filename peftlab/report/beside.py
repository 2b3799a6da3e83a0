"""The cells of a sweep that read the same data, and which of them share an error."""

from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # numpy and scipy are for the end of a sweep, not for every start
    from peftlab.statistics.blocks import Blocks


class Beside:
    """The cells of a sweep that read the same data: what varies over seeds is estimated from all of them."""

    def __init__(self) -> None:
        self.cells: list[Any] = []  # of `cell.Cell`
        self._pooled: dict[str, tuple[Blocks, list[Any]]] = {}

    def seeds(self, metric: str) -> list[int]:
        """The seeds that have a number, the rows of `blocks`."""
        return sorted({seed for cell in self.cells for seed in cell.values(metric)})

    def blocks(self, metric: str) -> "Blocks":
        """The numbers of the cells that vary alike, a row for each seed and a column for each cell; NaN of those that do not."""
        return self._both(metric)[0]

    def apart(self, metric: str) -> list[Any]:
        """The cells that vary more than the others (`statistics.outlying`): each of them has an error of its own."""
        return self._both(metric)[1]

    def is_apart(self, metric: str, *cells: Any) -> bool:
        """Whether one of these cells is apart."""
        return any(cell is own for cell in cells for own in self.apart(metric))

    def num(self, metric: str) -> int:
        """Cells that have a number."""
        return sum(bool(cell.values(metric)) for cell in self.cells)

    def _both(self, metric: str) -> "tuple[Blocks, list[Any]]":
        if metric not in self._pooled:
            import numpy as np

            from peftlab.statistics.blocks import Blocks
            from peftlab.statistics.outlying import outlying

            seeds = self.seeds(metric)
            value = np.full((len(seeds), len(self.cells)), nan)
            for column, cell in enumerate(self.cells):
                for seed, x in cell.values(metric).items():
                    value[seeds.index(seed), column] = x
            apart = outlying(value)
            value[:, apart] = nan
            self._pooled[metric] = (
                Blocks(value),
                [cell for cell, own in zip(self.cells, apart, strict=True) if own],
            )
        return self._pooled[metric]
