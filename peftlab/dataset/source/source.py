"""What a source hands over, before any subset is cut."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from peftlab.dataset.split import Split


@dataclass(frozen=True, eq=False)
class Source:
    """Class names in label order and the splits; no test item is read before `open_test()`.

    `ignored` counts by their kind what lies beside the items and was passed over.
    """

    class_names: list[str]
    train: Split
    val: Split | None
    open_test: Callable[[], Split]
    ignored: Counter[str] = field(default_factory=Counter)
