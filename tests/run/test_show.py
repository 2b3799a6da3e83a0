"""What is printed says what was measured."""

import math
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from peftlab.run import show
from peftlab.task.classify import Classify

Printed = Callable[..., list[str]]


def test_placement_shows_each_site_at_its_block(printed: Printed) -> None:
    sites = [
        {"block": 0, "position": "mlp1", "width": 4, "multiplier": 1.0},
        {"block": 2, "position": "q", "width": 8, "multiplier": 0.5},
        {"block": 1, "position": "q", "width": 8, "multiplier": 0.25},
    ]
    show.show_placement(sites, ["0", "1", "2"])
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed() if "│" in line]
    assert lines == [["q", ".", "8", "8", "0.25 to 0.5"], ["mlp1", "4", ".", ".", "1"]]


@pytest.mark.parametrize(("num_blocks", "width"), [(12, 80), (24, 80), (24, 200), (24, 45), (40, 80)])
def test_every_block_is_there_at_every_width(
    printed: Printed, monkeypatch: pytest.MonkeyPatch, num_blocks: int, width: int
) -> None:
    monkeypatch.setattr(show.console, "width", width)
    sites = [
        {"block": block, "position": name, "width": 4096 if block == 3 else 1, "multiplier": 1.0}
        for block in range(num_blocks)
        for name in ("q", "tokens")
    ]
    show.show_placement(sites, [str(block) for block in range(num_blocks)])
    lines = printed()
    heads = [line for line in lines if "position" in line]
    blocks = [int(word) for line in heads for word in re.findall(r"\d+", line)]
    assert blocks == list(range(num_blocks))
    assert sum(line.count(" 1 ") + line.count("4096") for line in lines if "tokens" in line) >= num_blocks
    assert "…" not in "".join(lines)
    assert len(heads) == 1 or width < 90


def test_counts_are_apart(printed: Printed) -> None:
    show.show_counts({"delta": 1000, "gamma": 72, "selected": 0, "head": 1920}, 100_000)
    assert "delta 1,000, gamma 72, selected 0, head 1,920; frozen backbone 100,000 (2.99 %" in " ".join(
        printed()
    )


def test_result_shows_intervals_and_an_empty_group_as_such(printed: Printed) -> None:
    metrics = dict.fromkeys(("micro_acc", "macro_f1", "worst_acc", "harmonic_acc", "geometric_acc"), 0.5)
    for group, value in (("mean", 0.5), ("head", 0.75), ("medium", math.nan), ("tail", 0.25)):
        metrics |= {
            f"{group}_acc": value,
            f"{group}_acc_low": value - 0.1,
            f"{group}_acc_high": value + 0.1,
        }
        metrics[f"{group}_num"] = 40.0
    task = Classify.__new__(Classify)
    task.dataset = cast(Any, SimpleNamespace(noun="images"))  # all that it needs of its data
    summary = task.summary(metrics)
    show.show_result("a run", summary.table, summary.line)
    assert printed(clear=False)[-1] == summary.line
    assert any("test result of a run" in line for line in printed(clear=False))
    lines = {line.split("│")[1].strip(): line for line in printed() if "│" in line}
    assert "25.0" in lines["tail"]
    assert "15.0 - 35.0" in lines["tail"]
    assert "no class" in lines["medium"]
    assert "nan" not in " ".join(printed())
