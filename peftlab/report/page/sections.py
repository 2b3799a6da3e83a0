"""The sections of a report, in the order of its page; one that has nothing to say is not there."""

from peftlab.report.page import (
    alpha,
    cells,
    claims,
    classes,
    cost,
    data_sets,
    gamma,
    grid,
    learning,
    regret,
    runs,
    summary,
)
from peftlab.report.page.parts import Section
from peftlab.report.page.study import Study

ORDER = (
    summary.section,
    cells.section,
    claims.section,
    grid.section,
    alpha.section,
    cost.section,
    gamma.section,
    classes.section,
    learning.section,
    regret.section,
    data_sets.section,
    runs.section,
)


def sections(study: Study) -> list[Section]:
    """What there is to say of a study."""
    found = (make(study) for make in ORDER)
    return [section for section in found if section is not None]
