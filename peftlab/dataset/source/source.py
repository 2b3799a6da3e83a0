"""What a source hands over, before any subset is cut."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from peftlab.dataset.items import Contents
from peftlab.dataset.split import Split
from peftlab.dataset.words import read_words, words_of


@dataclass(frozen=True, eq=False)
class Source:
    """Class names in label order and the splits; no test item is decoded, and no label of one seen, before `open_test()`.

    `test_contents`, where it is known, tells which items of the test lie in another split, too. `ignored` counts by their
    kind what lies beside the items and was passed over. `own_words` are those of texts, where the data come with some.
    """

    class_names: list[str]
    train: Split
    val: Split | None
    open_test: Callable[[], Split]
    ignored: Counter[str] = field(default_factory=Counter)
    test_contents: Callable[[], Contents] | None = None
    own_words: list[str] | None = None

    @property
    def class_words(self) -> list[str]:
        """What each class is called in texts, in label order."""
        return self.own_words or [words_of(name) for name in self.class_names]


def with_words(source: Source, file: str | None) -> Source:
    """The same data, their classes called as `file` says (None: as they are).

    Raises:
        UserError: as `read_words`.
    """
    if file is None:
        return source
    return replace(source, own_words=read_words(file, source.class_names, f"dataset.class_names={file}"))
