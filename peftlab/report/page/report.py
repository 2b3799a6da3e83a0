"""The report of one or more sweeps as a folder: from records to files."""

from pathlib import Path
from typing import NamedTuple

from peftlab.report.page.parts import Section
from peftlab.report.page.sections import sections
from peftlab.report.page.study import read_study
from peftlab.report.page.write import FORMATS, check_folder, write


class Request(NamedTuple):
    """What is asked for: sweeps, the folder of the report, the cell to compare with, what the page is called, and claims."""

    folders: list[Path]
    out: Path
    baseline: str | None = None
    title: str | None = None
    claims: tuple[str, ...] = ()
    links: bool = True  # from the page to the folders of runs

    @property
    def heading(self) -> str:
        """The title that was given, or the names of the folders."""
        return self.title or ", ".join(folder.resolve().name for folder in self.folders)


class Written(NamedTuple):
    """The page of a report, and what it is made of."""

    page: Path
    sections: list[Section]


def write_page(request: Request, formats: tuple[str, ...] = FORMATS) -> Written:
    """Write the report. formats: of the pictures, `svg` among them.

    Raises: UserError for a folder that is no sweep's, a baseline or a claim that is none, and a folder with files that no report wrote.
    """
    linked_from = request.out if request.links else None
    study = read_study(request.folders, linked_from, request.baseline, request.claims)
    check_folder(request.out)
    found = sections(study)
    return Written(write(request.out, request.heading, found, formats)[-1], found)
