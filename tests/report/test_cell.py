"""Jobs that differ only in their seed: their mean, their interval, and what they are called."""

from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
from fixtures.sweep import put
from scipy import stats

from peftlab.errors import UserError
from peftlab.report.cell import Cell, columns_of, group_cells, has_seeds, varying
from peftlab.report.job import Job, read
from peftlab.statistics.interval import Interval


def job(seed: int | None, mean: float = nan, state: str = "ok", **choices: str) -> Job:
    metrics = {"test/mean_acc": mean}
    return Job(Path(f"job{seed}"), state, 0.0, choices, seed, "", {}, metrics, 1.0)


def cell(*means: float) -> Cell:
    """One job a seed."""
    return Cell({}, [job(seed, mean) for seed, mean in enumerate(means)])


# grouping


def test_jobs_that_differ_only_in_their_seed_are_a_cell() -> None:
    jobs = [job(0, a="2", b="x"), job(0, a="1", b="x"), job(1, b="x", a="2"), job(None, state="missing")]
    cells = group_cells(jobs)
    assert [cell.choices for cell in cells] == [{"a": "2", "b": "x"}, {"a": "1", "b": "x"}, {}]
    assert [cell.jobs for cell in cells] == [[jobs[0], jobs[2]], [jobs[1]], [jobs[3]]]


def test_two_finished_jobs_of_one_cell_and_seed_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        put(tmp_path / name, "ok", {"a": "1"}, 0, result={"metrics": {}})
    with pytest.raises(UserError, match="one and two") as error:
        group_cells(read(tmp_path))
    assert str(error.value).endswith("the same choices and the same seed=0; legal is one folder for each.")


@pytest.mark.parametrize("state", ["failed", "interrupted", "running", "diverged"])
def test_a_job_that_was_tried_again_is_no_twin(state: str) -> None:
    jobs = [job(0, state=state, a="1"), job(0, 0.5, a="1")]
    for order in (jobs, jobs[::-1]):
        (cell,) = group_cells(order)
        assert cell.count == {state: 1, "ok": 1}
        assert cell.values("mean_acc") == {0: 0.5}


# numbers


def test_only_a_finished_job_with_a_number_has_a_value() -> None:
    jobs = [job(0, 0.5), job(1, 0.01, "diverged"), job(2), job(3, 0.25), job(4, 0.75, "running")]
    cell = Cell({}, jobs)
    assert cell.values("mean_acc") == {0: 0.5, 3: 0.25}
    assert cell.values("tail_acc") == {}
    assert isnan(cell.mean("tail_acc").mean)
    assert cell.mean("mean_acc").n == 2


def test_the_interval_of_several_runs_is_student_s() -> None:
    values = [0.61, 0.64, 0.70]
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    for seeds in (True, False):  # several jobs are averaged whatever the sweep says
        mean, *bounds = cell(*values).interval("mean_acc", seeds)
        assert mean == pytest.approx(0.65)
        assert bounds == pytest.approx(expected)


def test_one_run_has_the_interval_of_its_items_or_none_among_seeds() -> None:
    bounds = stats.binomtest(33, 40).proportion_ci(method="wilson")
    metrics = {"test/tail_acc": 33 / 40, "test/tail_acc_low": bounds.low, "test/tail_acc_high": bounds.high}
    alone = Cell({}, [Job(Path("a"), "ok", 0.0, {}, 0, "", {}, metrics, 1.0)])
    assert alone.interval("tail_acc", seeds=False) == (33 / 40, bounds.low, bounds.high)
    value, low, high = alone.interval("tail_acc", seeds=True)
    assert (value, isnan(low), isnan(high)) == (33 / 40, True, True)
    assert all(map(isnan, alone.interval("mean_acc", seeds=False)))


def test_a_difference_is_paired_by_seed() -> None:
    own, other = cell(0.61, 0.70, 0.66, 0.9), cell(0.60, 0.68, 0.60)
    expected = stats.ttest_rel([0.61, 0.70, 0.66], [0.60, 0.68, 0.60]).confidence_interval(0.95)
    mean, half, n = own.difference(other, "mean_acc")
    assert (mean - half, mean + half) == pytest.approx((expected.low, expected.high))
    assert n == 3
    assert own.difference(own, "mean_acc") == Interval(0.0, 0.0, 4)


def test_no_common_seed_is_no_difference() -> None:
    mean, half, n = cell(0.5, nan).difference(cell(nan, 0.5), "mean_acc")
    assert (isnan(mean), isnan(half), n) == (True, True, 0)


# names


def test_a_cell_is_called_by_what_varies() -> None:
    choices = ({"data": "d", "a": "1"}, {"data": "d", "a": "[q,v]", "b": "x"}, {})
    cells = [Cell(choice, []) for choice in choices]
    assert varying(cells) == ["a", "b"]  # a job of which nothing is known makes no choice vary
    assert [cell.label(["a", "b"]) for cell in cells] == ["a=1", "a=[q,v],b=x", ""]
    assert cells[1].label(["b", "data"]) == "b=x,data=d"


def test_columns_stand_as_in_the_fullest_row() -> None:
    assert columns_of([{"a": 1, "error": 2}, {"a": 1, "m": 2, "error": 3}, {"z": 1}]) == [
        "a",
        "m",
        "error",
        "z",
    ]
    assert columns_of([]) == []


def test_one_seed_and_an_unknown_one_are_not_several() -> None:
    assert not has_seeds([job(0), job(0), job(None)])
    assert has_seeds([job(0), job(1)])


# cells that do not vary alike


def collapsed() -> list[Cell]:
    """Six cells of standard deviation 1, and one of which some seeds are at chance."""
    rng = np.random.default_rng(0)
    jobs = [job(seed, 80 + index + rng.normal(), a=str(index)) for index in range(6) for seed in range(5)]
    jobs += [job(seed, value, a="odd") for seed, value in enumerate((17.0, 20.0, 55.0, 17.0, 60.0))]
    return group_cells(jobs)


def test_a_cell_that_varies_more_spoils_no_other_and_has_an_error_of_its_own() -> None:
    *alike, odd = collapsed()
    alone = group_cells([one for cell in alike for one in cell.jobs])
    for cell, wanted in zip(alike, alone, strict=True):
        assert cell.mean("mean_acc") == pytest.approx(wanted.mean("mean_acc"))
        assert cell.p_value(alike[0], "mean_acc") == pytest.approx(
            wanted.p_value(alone[0], "mean_acc"), nan_ok=True
        )
    own = list(odd.values("mean_acc").values())
    low, high = stats.t.interval(0.95, 4, np.mean(own), stats.sem(own))
    assert odd.mean("mean_acc") == pytest.approx(Interval(np.mean(own), (high - low) / 2, 5))
    pairs = np.array(own) - list(alike[0].values("mean_acc").values())
    for one, other in ((odd, alike[0]), (alike[0], odd)):
        assert one.p_value(other, "mean_acc") == pytest.approx(stats.ttest_1samp(pairs, 0).pvalue)
    found = odd.difference(alike[0], "mean_acc")
    assert found.mean == pytest.approx(pairs.mean())
    assert stats.t.ppf(0.975, 4) < found.half / stats.sem(pairs) < stats.t.ppf(1 - 0.025 / 6, 4), (
        "of six at once"
    )
