"""What a source hands over, before any subset is cut."""

from collections.abc import Callable
from dataclasses import dataclass

from peftlab.dataset.split import Split


@dataclass(frozen=True, eq=False)
class Source:
    """Class names in label order and the splits; no test item is read before `open_test()`."""

    class_names: list[str]
    train: Split
    val: Split | None
    open_test: Callable[[], Split]
