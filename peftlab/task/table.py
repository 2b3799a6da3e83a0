"""Metrics of a result for people, beside those of the frozen network."""

from collections.abc import Mapping, Sequence
from math import isnan, nan

from peftlab.evaluate.said import VALUE
from peftlab.task.task import Table

LABELS = {
    "log_likelihood": "log-likelihood a token",
    "token_acc": "tokens chosen %",
    "bleu": "BLEU",
    "rouge_l": "ROUGE-L",
}


def summary(names: Sequence[str], metrics: Mapping[str, float]) -> Table:
    """A row for each metric, with its interval, and `frozen/NAME` and `gain/NAME` if they are there. Accuracies in %."""
    beside = any(f"frozen/{name}" in metrics for name in names)
    table: Table = [["", "test", "95 % interval", *(["frozen", "gain, paired 95 %"] * beside)]]
    for name in names:
        row = [_label(name), _text(name, metrics[name]), _interval(name, metrics, "{} - {}")]
        if beside:
            gain = _text(name, metrics.get(f"gain/{name}", nan), sign="+")
            row += [
                _text(name, metrics.get(f"frozen/{name}", nan)),
                f"{gain} {_interval(f'gain/{name}', metrics, '({}, {})', '+')}",
            ]
        table.append(row)
    return table


def _label(name: str) -> str:
    """`number right, mean %` for mean_acc."""
    if name in LABELS:
        return LABELS[name]
    what, word = ("equation", name.removeprefix(VALUE)) if name.startswith(VALUE) else ("number", name)
    return f"{what} right, {word.removesuffix('_acc')} %"


def _text(name: str, value: float, sign: str = "") -> str:
    if isnan(value):
        return "none"
    return format(100 * value, f"{sign}.1f") if name.endswith("_acc") else format(value, f"{sign}.3f")


def _interval(name: str, metrics: Mapping[str, float], text: str, sign: str = "") -> str:
    ends = [metrics.get(f"{name}_{end}", nan) for end in ("low", "high")]
    return "" if any(map(isnan, ends)) else text.format(*(_text(name, end, sign) for end in ends))
