"""Section: claims that were named beforehand."""

from peftlab.report.claims import Verdict, difference_text, read_claims, verdicts
from peftlab.report.evidence import p_text
from peftlab.report.page.parts import Column, Entry, Section, Table, number, words
from peftlab.report.page.study import Study

NOTE = (
    "Paired by seed, with the error of all cells; the interval is of one difference alone. p: two-sided; Holm: of all claims here, so"
    " that the chance of one false verdict is 5 %."
)


def section(study: Study) -> Section | None:
    """A row for each `--claim`; nothing without one.

    Raises: UserError for a claim that is none.
    """
    found = verdicts(read_claims(study.cells, study.claims))
    if not found:
        return None
    columns = [
        *(Column(name, is_number=False) for name in ("claim", "metric", "verdict")),
        *(Column(name) for name in ("difference", "seeds", "p", "Holm")),
    ]
    table = Table("claims", "Claims and verdicts", columns, [_row(study, one) for one in found], NOTE)
    held = sum(one.word == "holds" for one in found)
    unknown = (
        " Where nothing is known: a difference needs two common seeds."
        if any(one.word == "not known" for one in found)
        else ""
    )
    said = f"**{held} of {len(found)} claims** hold at 5 % (Holm 1979).{unknown} They are claims only if they were named before the runs."
    return Section("claims", "Claims", [said], [table])


def _row(study: Study, one: Verdict) -> list[Entry]:
    return [
        words(f"{study.name(one.claim.better)} > {study.name(one.claim.worse)}"),
        words(one.claim.metric.label),
        words(one.word),
        Entry(difference_text(one), one.difference, one.low, one.high),
        number(one.num),
        Entry(p_text(one.p), one.p),
        Entry(p_text(one.holm), one.holm),
    ]
