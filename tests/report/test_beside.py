"""Which cells share no error, said."""

from pathlib import Path

import numpy as np

from peftlab.report.cell import apart_text, group_cells
from peftlab.report.job import Job
from peftlab.report.metric import Metric


def test_it_is_said_which_are_not_pooled() -> None:
    rng = np.random.default_rng(0)
    value = {str(index): 80 + rng.normal(size=5) for index in range(6)} | {
        "odd": np.array([17.0, 20, 55, 17, 60])
    }
    jobs = [
        Job(Path("job"), "ok", 0.0, {"a": name}, seed, "", {}, {"test/mean_acc": float(x)}, 1.0)
        for name, own in value.items()
        for seed, x in enumerate(own)
    ]
    cells, metrics = group_cells(jobs), [Metric("mean_acc"), Metric("tail_acc")]
    said = apart_text(cells, metrics, lambda cell: cell.label(["a"]))
    assert said == "not pooled, as they vary more than the others: mean a=odd"
    assert apart_text(group_cells(jobs[:-5]), metrics, lambda cell: cell.label(["a"])) == ""
    assert cells[0].beside.num("mean_acc") == 7
    assert [cell.choices["a"] for cell in cells[0].beside.apart("mean_acc")] == ["odd"]
