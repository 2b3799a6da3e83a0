"""The folder of a report: index.html, report.md, and below it each table and each picture in the formats of papers."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from peftlab.errors import UserError
from peftlab.record.whole_file import check_place, renew
from peftlab.report.markdown import inert
from peftlab.report.page.html import SIGN, page
from peftlab.report.page.parts import Section
from peftlab.report.page.tables import csv, latex, markdown

INDEX, TEXT = "index.html", "report.md"
FORMATS = ("svg", "png", "pdf")
TAG = re.compile(r"<(?![\d ])")  # in words
TABLES = {"csv": csv, "tex": latex}


def check_folder(folder: Path) -> None:
    """That a report may be written to a folder.

    Raises: UserError if it cannot be made, or holds a page or a text that no report wrote.
    """
    check_place(folder, "--out")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out={folder} is not a folder; legal: a folder, or a name that nothing has")
    for name, sign in ((INDEX, SIGN), (TEXT, "# ")):
        path = folder / name
        if path.exists() and sign not in path.read_text(encoding="utf-8", errors="replace")[:1000]:
            raise UserError(
                f"{path} is not a report's, so it is not written over; legal: move it, or another --out"
            )


def write(
    folder: Path, title: str, sections: list[Section], formats: tuple[str, ...] = FORMATS
) -> list[Path]:
    """All files of a report, the page last: each appears in one piece. What an older page had and this one has not goes.

    formats: those of the pictures; `svg` is among them, since the page has it.
    """
    before = _linked(folder)
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    files, pictures = [], dict[str, tuple[str, str]]()
    every = [part for section in sections for part in section.all]
    for table in (table for section in every for table in section.tables):
        files += [
            renew(folder / "tables" / f"{table.name}.{end}", text(table)) for end, text in TABLES.items()
        ]
    for drawing in (drawing for section in every for drawing in section.drawings):
        paths = [folder / "figures" / f"{drawing.name}.{end}" for end in formats]
        files += drawing.draw(*paths)
        svg = next(path for path in paths if path.suffix == ".svg")
        pictures[drawing.name] = svg.read_text(encoding="utf-8"), drawing.title
    shown = "png" if "png" in formats else "svg"
    files.append(renew(folder / TEXT, "\n\n".join(_text(title, sections, shown)) + "\n"))
    files.append(renew(folder / INDEX, page(title, sections, pictures, formats)))
    for path in before - set(files):
        path.unlink(missing_ok=True)
    return files


def _linked(folder: Path) -> set[Path]:
    """The tables and pictures of the page that is there."""
    try:
        text = (folder / INDEX).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {folder / unescape(link) for link in re.findall(r'href="((?:tables|figures)/[^"/]+)"', text)}


def _text(title: str, sections: list[Section], form: str) -> Iterator[str]:
    """The report in Markdown, paragraph by paragraph."""
    yield f"# {inert(title)}"
    for level, section in [(2 + (one is not top), one) for top in sections for one in top.all]:
        yield f"{'#' * level} {section.title}"
        if section.words:
            yield "\n".join(f"- {TAG.sub('&lt;', word)}" for word in section.words)
        for drawing in section.drawings:
            yield f"![{re.sub(r'[][]', '', drawing.title)}](figures/{drawing.name}.{form})"
        for table in section.tables:
            yield f"**{inert(table.title)}**"
            yield markdown(table)
