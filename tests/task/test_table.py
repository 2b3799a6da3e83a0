"""Metrics for people: words, per cent, and what is not there."""

from math import nan

from peftlab.task.table import summary

METRICS = {
    "mean_acc": 0.25,
    "mean_acc_low": 0.2,
    "mean_acc_high": 0.3,
    "value_mean_acc": 0.5,
    "log_likelihood": -1.5,
    "tail_acc": nan,
}


def test_a_row_for_each_metric() -> None:
    names = ("mean_acc", "value_mean_acc", "log_likelihood", "tail_acc")
    assert summary(names, METRICS) == [
        ["", "test", "95 % interval"],
        ["number right, mean %", "25.0", "20.0 - 30.0"],
        ["equation right, mean %", "50.0", ""],
        ["log-likelihood a token", "-1.500", ""],
        ["number right, tail %", "none", ""],
    ]


def test_beside_the_frozen_network() -> None:
    more = {
        "frozen/mean_acc": 0.1,
        "gain/mean_acc": 0.15,
        "gain/mean_acc_low": -0.05,
        "gain/mean_acc_high": 0.35,
    }
    head, row = summary(("mean_acc",), METRICS | more)
    assert head[3:] == ["frozen", "gain, paired 95 %"]
    assert row[3:] == ["10.0", "+15.0 (-5.0, +35.0)"]
