"""Right and wrong answers of two cells: what is compared, and when there is nothing to compare."""

from pathlib import Path

import pytest
from fixtures.sweep import put

from peftlab.report.cell import Cell, group_cells
from peftlab.report.items import sampled
from peftlab.report.job import read
from peftlab.report.metric import Metric

MEAN, TAIL = Metric("mean_acc"), Metric("tail_acc")


def cells(folder: Path, *, drop: str = "", items: int = 6) -> list[Cell]:
    """Cell a is right of all, cell b of the head alone; two seeds, three items of each of two classes."""
    for name in "ab":
        for seed in (0, 1):
            own = put(folder / f"{name}{seed}", "ok", {"peft": name}, seed, result={"metrics": {}})
            (own / "per_class.csv").write_text("class,group\nx,head\ny,tail\n")
            lines = [
                f"{i},{c},{c if name == 'a' or c == 'x' else 'x'}" for i, c in enumerate("xyxyxy"[:items])
            ]
            (own / "predictions.csv").write_text("\n".join(["item,class,predicted", *lines]) + "\n")
    if drop:
        (folder / drop).unlink()
    return group_cells(read(folder))


def test_the_difference_is_that_of_the_classes_of_the_metric(tmp_path: Path) -> None:
    a, b = cells(tmp_path)
    for metric, value in ((MEAN, 50.0), (TAIL, 100.0), (Metric("head_acc"), 0.0)):
        found = sampled(a, b, metric)
        assert found is not None
        assert found.value == pytest.approx(value)
        assert (found.by_seed, found.by_image) == (0, 0)


@pytest.mark.parametrize("drop", ["a0/predictions.csv", "b1/per_class.csv"])
def test_without_the_answers_of_each_run_there_is_none(tmp_path: Path, drop: str) -> None:
    assert sampled(*cells(tmp_path, drop=drop), MEAN) is None


def test_another_metric_or_other_items_have_none(tmp_path: Path) -> None:
    a, b = cells(tmp_path / "one")
    assert sampled(a, b, Metric("recall")) is None
    (other, _) = cells(tmp_path / "other", items=4)
    assert sampled(other, b, MEAN) is None


def test_an_answer_that_was_written_says_itself_whether_it_is_right(tmp_path: Path) -> None:
    a, b = cells(tmp_path)
    for cell, right in ((a, "111111"), (b, "101010")):
        for job in cell.jobs:
            lines = [f"{i},{c},{right[i]}" for i, c in enumerate("xyxyxy")]
            (job.folder / "predictions.csv").write_text("\n".join(["item,class,right", *lines]) + "\n")
    found = sampled(a, b, MEAN)
    assert found is not None
    assert found.value == pytest.approx(50.0)
