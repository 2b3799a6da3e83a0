"""The validation of a run by epoch, from a file that a kill may have cut."""

from math import isnan
from pathlib import Path

from peftlab.report.race.curve import curve, reached, trained, validated

ROWS = """{"step": 1, "epoch": 0.5, "train/loss": 2}
{"step": 2, "epoch": 1.0, "val/mean_acc": 0.5, "val/mean_acc_low": 0.4, "val/mean_acc_high": 0.6, "val/mean_num": 9}
{"step": 4, "epoch": 2.0, "val/mean_acc": 0.6}
{"step": 4, "epoch": 2.0, "val/mean_acc": 0.7}
[]
{"step": 5, "epoch": 2.5, "train/loss": 1}
{"step": 6, "epo"""


def test_the_last_row_of_an_epoch_counts_and_a_cut_line_does_not(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(ROWS)
    found = curve(tmp_path, "mean_acc")
    assert found[1] == (0.5, 0.4, 0.6)
    assert (found.keys(), found[2][0]) == ({1, 2}, 0.7)
    assert isnan(found[2][1])
    assert (trained(tmp_path), validated(tmp_path)) == (2.5, ["mean_acc"])
    assert curve(tmp_path, "tail_acc") == {}


def test_a_run_that_has_nothing_yet(tmp_path: Path) -> None:
    assert (curve(tmp_path, "mean_acc"), trained(tmp_path), validated(tmp_path)) == ({}, 0.0, [])


def test_the_best_epoch_is_that_of_the_metric_that_the_record_names(tmp_path: Path) -> None:
    rows = [(1, 0.5, -3.0, 0.1), (2, 0.9, -2.0, 0.2), (3, 0.4, -1.0, 0.3)]
    lines = [
        f'{{"epoch": {epoch}, "val/mean_acc": {mean}, "val/log_likelihood": {likely}, "val/tail_acc": {tail}}}'
        for epoch, mean, likely, tail in rows
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert reached(tmp_path, "tail_acc", "best") == 0.2
    assert reached(tmp_path, "tail_acc", "last") == 0.3
    (tmp_path / "status.json").write_text('{"beat": {"metric": "log_likelihood"}}')
    assert reached(tmp_path, "tail_acc", "best") == 0.3
    (tmp_path / "result.json").write_text('{"selected": {"by": "best", "step": 2, "val/mean_acc": 0.9}}')
    assert reached(tmp_path, "tail_acc", "best") == 0.2
