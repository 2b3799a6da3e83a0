"""Which metrics stand in a report: what the records name, or those of the one task that there was."""

import pytest

from peftlab.report.metric import CLASSIFY, Metric, headline


def test_accuracies_are_shown_in_percent_and_others_as_they_are() -> None:
    tail, other = Metric("tail_acc"), Metric("perplexity")
    assert (tail.label, tail.unit, tail.words, tail.text(0.5)) == (
        "tail",
        "%",
        "tail accuracy (test, %)",
        "50.0",
    )
    assert (other.label, other.unit, other.words, other.text(12.25)) == (
        "perplexity",
        "",
        "perplexity (test)",
        "12.2",
    )


def test_records_name_their_headline_once_and_in_order() -> None:
    records = [{}, {"headline": ["b", "a"], "metrics": {}}, {"headline": ["a", "c"], "metrics": {}}]
    assert [metric.name for metric in headline(records)] == ["b", "a", "c"]


@pytest.mark.parametrize("said", [None, [], "mean", [1], {"a": 1}])
def test_an_old_or_damaged_record_has_that_of_classify(said: object) -> None:
    assert headline([{"headline": said, "metrics": {}}]) == [Metric(name) for name in CLASSIFY]
    assert headline([]) == [Metric(name) for name in CLASSIFY]
