"""The report of a sweep."""

from peftlab.sweep.callback import SweepReport
from peftlab.sweep.cell import METRICS, group_cells
from peftlab.sweep.command import main
from peftlab.sweep.heat_map import heat_grid
from peftlab.sweep.job import read
from peftlab.sweep.report import write_report
from peftlab.sweep.table import print_table

__all__ = [
    "METRICS",
    "SweepReport",
    "group_cells",
    "heat_grid",
    "main",
    "print_table",
    "read",
    "write_report",
]
