"""Jobs that differ only in their seed: their mean, their interval, and what they are called."""

from pathlib import Path

import pytest
from fixtures.sweep import put

from peftlab.errors import UserError
from peftlab.report.cell import group_cells
from peftlab.report.job import read


def test_two_finished_jobs_of_one_cell_and_seed_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        put(tmp_path / name, "ok", {"a": "1"}, 0, result={"metrics": {}})
    with pytest.raises(UserError, match="one and two"):
        group_cells(read(tmp_path))
