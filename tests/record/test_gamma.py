"""gamma.csv."""

import csv
import io

from peftlab.record.gamma import COLUMNS, gamma_text

ROW = dict(zip(COLUMNS, ("0.q", 0, "q", 1 / 3, 2.0, 2 / 3, 1e-9), strict=True))


def test_one_row_per_site_in_the_order_of_the_columns():
    turned = dict(reversed(ROW.items()))
    names, first, second = list(csv.reader(io.StringIO(gamma_text([ROW, turned]))))
    assert tuple(names) == COLUMNS
    assert first == second == ["0.q", "0", "q", repr(1 / 3), "2.0", repr(2 / 3), "1e-09"]
