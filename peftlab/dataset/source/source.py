"""What a source hands over, before any subset is cut."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from peftlab.dataset.items import Contents
from peftlab.dataset.split import Split


@dataclass(frozen=True, eq=False)
class Source:
    """Class names in label order and the splits; no test item is decoded, and no label of one seen, before `open_test()`.

    `test_contents`, where it is known, tells which items of the test lie in another split, too. `ignored` counts by their
    kind what lies beside the items and was passed over.
    """

    class_names: list[str]
    train: Split
    val: Split | None
    open_test: Callable[[], Split]
    ignored: Counter[str] = field(default_factory=Counter)
    test_contents: Callable[[], Contents] | None = None
