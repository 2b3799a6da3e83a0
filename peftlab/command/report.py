"""peftlab-report: a page, tables and pictures of one or more sweeps."""

from pathlib import Path

from peftlab.command.parser import Parser
from peftlab.errors import INTERRUPTED

NAME = "report"  # of the folder


def main(argv: list[str] | None = None) -> int:
    """`peftlab-report`: write the report of sweeps from their records; 0, or 2 for wrong input.

    With `--serve` it shows the page on this machine alone, made again when records change, until it is interrupted (130).
    """
    parser = Parser(
        prog="peftlab-report",
        description="Write a page, tables (Markdown, LaTeX, CSV) and pictures (PNG, SVG, PDF) of one or more sweeps.",
    )
    parser.add_argument(
        "folders", nargs="+", metavar="folder", help="the folder of a sweep, with one sub-folder per job"
    )
    parser.add_argument("--out", help="where to write; FOLDER/report for one sweep, else ./report")
    parser.add_compared()
    parser.add_argument("--title", help="of the page; the names of the folders")
    parser.add_argument(
        "--no-links", action="store_true", help="to the folders of runs, for a page that leaves this machine"
    )
    parser.add_argument(
        "--serve", type=int, metavar="PORT", help="show the page at http://127.0.0.1:PORT; 0: any free port"
    )
    arguments = parser.parse_args(argv)
    folders = [Path(name) for name in arguments.folders]
    out = Path(arguments.out or (folders[0] / NAME if len(folders) == 1 else NAME))
    with parser.answers(out):
        from peftlab.report.page.report import Request, write_page
        from peftlab.report.page.serve import serve

        compared = (arguments.baseline, arguments.title, tuple(arguments.claim))
        request = Request(folders, out, *compared, links=not arguments.no_links)
        if arguments.serve is None:
            print(f"written: {write_page(request).page}")
            return 0
        try:
            serve(request, arguments.serve)
        except KeyboardInterrupt:
            return INTERRUPTED
    return 0
