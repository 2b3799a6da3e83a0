"""The metrics that stand in a report: those that the task of the runs names as its headline."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

CLASSIFY = ("mean_acc", "head_acc", "medium_acc", "tail_acc")  # of records that name none: there was one task


class Metric(NamedTuple):
    """A number of the test split, by the name that stands after `test/` in result.json."""

    name: str

    @property
    def label(self) -> str:
        """What people call it: `tail` for tail_acc."""
        return self.name.removesuffix("_acc")

    @property
    def factor(self) -> int:
        """Accuracies are fractions and shown in %; whatever else a task measures is shown as it is."""
        return 100 if self.name.endswith("_acc") else 1

    @property
    def unit(self) -> str:
        """What stands behind its name: `%` or nothing."""
        return "%" if self.factor == 100 else ""

    @property
    def points(self) -> str:
        """The unit of a difference."""
        return "percentage points" if self.unit else ""

    @property
    def words(self) -> str:
        """For an axis: `tail accuracy (test, %)`."""
        return f"{self.label} accuracy (test, %)" if self.unit else f"{self.label} (test)"

    @property
    def form(self) -> str:
        """How many digits are shown."""
        return ".1f" if self.unit else ".3g"

    def text(self, value: float) -> str:
        """A value as it is shown, without its unit."""
        return format(self.factor * value, self.form)


def headline(results: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """The headline of these result.json, each metric once and in order; that of `classify` where none says."""
    names = [name for result in results for name in named(result)]
    return [Metric(name) for name in dict.fromkeys(names or CLASSIFY)]


def named(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The headline that a record names; nothing if there is no record."""
    found = result.get("headline")
    if isinstance(found, list) and found and all(isinstance(name, str) for name in found):
        return tuple(found)
    return CLASSIFY if isinstance(result.get("metrics"), dict) else ()
