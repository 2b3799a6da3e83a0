"""The folder of a report: what is written, what is refused, and a page that needs nothing else."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixtures.grid import CROSSED, made
from fixtures.study import put_run

from peftlab.errors import UserError
from peftlab.report.page.report import Request, write_page

EVIL = '</script><img src=x onerror=alert(1)> & "quoted" **b**'


class Reader(HTMLParser):
    """Start tags with their attributes; that every one that needs it is closed in order."""

    VOID = ("meta", "input", "link", "br", "img", "path", "use", "image", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made(tmp_path_factory.mktemp("grid") / "sweep", CROSSED, 3)
    return write_page(Request([folder], folder / "report")).page.parent


def test_all_files_are_there(report: Path) -> None:
    page = (report / "index.html").read_text()
    for name in ("heatmap", "heatmap-difference", "effects"):
        for end in ("svg", "png", "pdf"):
            assert (report / "figures" / f"{name}.{end}").stat().st_size > 1000
            assert f'href="figures/{name}.{end}"' in page
    for name in ("cells", "differences", "runs", "anova-mean", "best-mean"):
        for end in ("csv", "tex"):
            assert (report / "tables" / f"{name}.{end}").stat().st_size > 50
            assert f'href="tables/{name}.{end}"' in page
    text = (report / "report.md").read_text()
    assert text.startswith("# sweep\n")
    for picture in re.findall(r"\]\((.*?)\)", text):
        assert (report / picture).is_file()


def test_the_page_is_well_formed_and_needs_no_network(report: Path) -> None:
    reader = read(report / "index.html")
    ids = [attrs["id"] for _, attrs in reader.tags if attrs.get("id")]
    assert len(set(ids)) == len(ids), "each id once"
    for tag, attrs in reader.tags:
        for name in ("src", "href", "xlink:href", "data", "srcset"):
            target = attrs.get(name) or ""
            if target.startswith("#"):
                assert target[1:] in ids, target
            elif target and not target.startswith(("data:image/png;base64,", "data:,")):
                assert tag == "a", (tag, target)
                assert (report / target).exists(), target
    text = (report / "index.html").read_text()
    assert not re.findall(r"@import|fetch\(|XMLHttpRequest|url\((?!#)", text)
    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)


def test_every_picture_and_table_has_a_name_for_who_does_not_see_it(report: Path) -> None:
    tags = read(report / "index.html").tags
    pictures = [attrs for tag, attrs in tags if tag == "svg"]
    assert len(pictures) == 3
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in pictures)
    wide = [attrs for tag, attrs in tags if tag == "div" and attrs.get("class") == "wide"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in wide)
    assert sum(tag == "table" for tag, _ in tags) == sum(tag == "caption" for tag, _ in tags)
    assert ("html", {"lang": "en"}) in tags


def test_words_of_other_people_are_words(tmp_path: Path) -> None:
    for place, note in enumerate((EVIL, "plain")):
        own = put_run(tmp_path / "s", {"x": place}, 0, {"mean_acc": 0.5})
        status = json.loads((own / "status.json").read_text()) | {"choices": {"note": note}}
        (own / "status.json").write_text(json.dumps(status))
    page = write_page(Request([tmp_path / "s"], tmp_path / "out", title=EVIL)).page
    reader = read(page)
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert sum(tag == "script" for tag, _ in reader.tags) == 1
    assert EVIL.replace("&", "&amp;").replace("<", "&lt;") in page.read_text().replace("&gt;", ">").replace(
        "&#34;", '"'
    )
    assert "<img" not in (page.parent / "report.md").read_text()


def test_a_second_report_touches_nothing(report: Path) -> None:
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in report.rglob("*") if path.is_file()
    }
    write_page(Request([report.parent], report))
    after = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in report.rglob("*") if path.is_file()
    }
    assert {path.name: value == after[path] for path, value in before.items()} == {
        path.name: True for path in after
    }


@pytest.mark.parametrize("name", ["index.html", "report.md"])
def test_what_no_report_wrote_stays(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "s"
    put_run(folder, {"peft": "lora"}, 0, {"mean_acc": 0.5})
    (folder / "report").mkdir()
    (folder / "report" / name).write_text("mine")
    with pytest.raises(UserError, match="is not a report's, so it is not written over"):
        write_page(Request([folder], folder / "report"))
    assert (folder / "report" / name).read_text() == "mine"
    assert not (folder / "report" / "figures").exists()


def test_a_report_is_no_job_of_its_sweep(report: Path) -> None:
    from peftlab.report.job import read as read_jobs

    assert len(read_jobs(report.parent)) == 36


def test_what_an_older_report_drew_goes_and_what_somebody_put_there_stays(tmp_path: Path) -> None:
    """A second sweep into the folder has a name for each map; without PNG the text has the SVG."""
    folder, out = made(tmp_path / "s", CROSSED, 1), tmp_path / "out"
    write_page(Request([folder], out))
    assert (out / "figures" / "heatmap.pdf").is_file()
    for folder_name in ("figures", "tables"):
        (out / folder_name / "mine.txt").write_text("mine")
    for place in ("0-2", "3-5"):
        put_run(
            folder, {"placement.depth": place, "placement.position": "q", "peft": "ssf"}, 0, {"mean_acc": 0.5}
        )
    write_page(Request([folder], out), ("svg",))
    names = {path.name for path in (out / "figures").iterdir()}
    assert not {"heatmap.svg", "heatmap.png", "heatmap.pdf"} & names
    assert {path.rpartition(".")[2] for path in names} == {"svg", "txt"}
    assert (out / "tables" / "mine.txt").read_text() == "mine"
    for picture in re.findall(r"\]\((.*?)\)", (out / "report.md").read_text()):
        assert (out / picture).is_file()
