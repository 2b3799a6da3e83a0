"""The table of a sweep as Markdown, and the numbers behind it."""

import math
from pathlib import Path
from typing import Any

from peftlab.report.cell import Cell
from peftlab.report.job import Job
from peftlab.report.markdown import trained, write_markdown


def job(peft: str, seed: int, tail: float, **result: Any) -> Job:
    metrics = {f"test/{name}_acc": 0.5 for name in ("mean", "head", "medium")} | {"test/tail_acc": tail}
    metrics |= {"test/tail_acc_low": tail - 0.1, "test/tail_acc_high": tail + 0.2}
    counts = {"delta": 1000, "gamma": 2, "gate": 0, "selected": 30, "head": 640, "backbone": 10**6}
    record = {"num_parameters": counts, "step_s": 0.25, "memory_mib": 700.0, **result}
    return Job(Path(peft), "ok", float(seed), {"peft": peft}, seed, "", record, metrics, 60.0)


def test_rows(tmp_path: Path) -> None:
    cells = [
        Cell({"peft": "lora"}, [job("lora", seed, tail) for seed, tail in enumerate((0.4, 0.5, 0.6))]),
        Cell({"peft": "bitfit"}, [job("bitfit", 0, 0.3, step_s=0.1), job("bitfit", 1, 0.3, step_s=0.3)]),
    ]
    lines = write_markdown(tmp_path, cells, seeds=True).read_text().splitlines()
    half = 4.303 * 10 / math.sqrt(3)  # t_{0.975, 2} s / sqrt n, s = 10 points
    assert lines == [
        "| peft | trained | mean | head | medium | tail | n | step ms | MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        f"| lora | 1,032 | 50.0 ±0.0 | 50.0 ±0.0 | 50.0 ±0.0 | 50.0 ±{half:.1f} | 3 | 250 | 700 |",
        "| bitfit | 1,032 | 50.0 ±0.0 | 50.0 ±0.0 | 50.0 ±0.0 | 30.0 ±0.0 | 2 | 200 | 700 |",
    ]
    assert not list(tmp_path.glob(".table*"))


def test_one_run_has_the_interval_of_its_test_images(tmp_path: Path) -> None:
    cells = [Cell({"peft": name}, [job(name, 0, 0.4)]) for name in ("lora", "full")]
    text = write_markdown(tmp_path, cells, seeds=False).read_text()
    assert "| lora | 1,032 | 50.0 | 50.0 | 50.0 | 40.0 (30.0-60.0) | 1 | 250 | 700 |" in text


def test_a_job_without_a_result_leaves_its_cells_empty(tmp_path: Path) -> None:
    lost = Job(Path("x"), "missing", 1.0, {"peft": "x"}, 0, "", {}, {}, math.nan)
    cells = [Cell({"peft": "lora"}, [job("lora", 0, 0.4)]), Cell({"peft": "x"}, [lost])]
    assert math.isnan(trained(cells[1]))
    assert "| x |  |  |  |  |  | 0 |  |  |" in write_markdown(tmp_path, cells, seeds=False).read_text()


def test_a_diverged_run_has_no_number(tmp_path: Path) -> None:
    lost = Job(**{**vars(job("x", 0, 0.4)), "state": "diverged"})
    cells = [Cell({"peft": "lora"}, [job("lora", 0, 0.4)]), Cell({"peft": "x"}, [lost])]
    text = write_markdown(tmp_path, cells, seeds=False).read_text()
    assert "| x | 1,032 | diverged | diverged | diverged | diverged | 0 | 250 | 700 |" in text
