"""peftlab-sweep: the report of a sweep that ran before, or still runs."""

import sys
import time
from pathlib import Path

from peftlab.command.parser import Parser
from peftlab.errors import INTERRUPTED, UserError
from peftlab.record.json_file import json_text
from peftlab.report.claims import claim_lines, plain_claims
from peftlab.report.job import has_jobs
from peftlab.report.plain_report import plain_report
from peftlab.report.planned import plan_lines
from peftlab.report.report import write_report
from peftlab.report.table import print_table
from peftlab.report.watch import SILENT_S, Ages, lines, watched

CLEAR = "\x1b[H\x1b[2J"  # of a terminal


def main(argv: list[str] | None = None) -> int:
    """`peftlab-sweep`: rebuild and print a sweep's report; 0, 1 (not all was measured) or 2 (wrong input).

    With `--plan` it prints how many seeds a difference needs, and ends with 0. With `--watch` 0 when nothing
    runs and nothing is left, and 130 when it is interrupted before.
    """
    parser = Parser(prog="peftlab-sweep", description="Rebuild and print a sweep's report.")
    parser.add_argument("folder", help="the folder of a sweep, with one sub-folder per job")
    parser.add_compared()
    parser.add_argument("--json", action="store_true", help="print it as JSON, as docs/sweeps.md says")
    parser.add_argument(
        "--plan", type=float, metavar="POINTS", help="how many seeds a difference of so many points needs"
    )
    watch = parser.add_argument_group("while it runs")
    watch.add_argument(
        "--watch", nargs="?", const=10.0, type=float, metavar="SECONDS", help="show its runs every 10 s"
    )
    watch.add_argument(
        "--silent",
        default=SILENT_S,
        type=float,
        metavar="SECONDS",
        help="a run without a word for so long is said to be silent",
    )
    arguments = parser.parse_args(argv)
    folder = Path(arguments.folder)
    with parser.answers(folder):
        if arguments.watch is not None:
            return show(folder, arguments.watch, arguments.silent)
        report = write_report(folder, baseline=arguments.baseline)
        planned = plan_lines(report, arguments.plan) if arguments.plan is not None else []
        claimed = claim_lines(report.cells, arguments.claim)
    if arguments.json and not planned:
        more = {"claims": plain_claims(report.cells, arguments.claim)} if claimed else {}
        print(json_text({**plain_report(report), **more}, indent=1), end="")
        return report.exit_code
    if not planned:
        print_table(report)
    print("".join(f"{line}\n" for line in (*planned, *claimed)), end="")
    return 0 if planned else report.exit_code


def show(folder: Path, every_s: float, silent_s: float) -> int:
    """The table of a running sweep, again after each interval, until nothing runs and nothing is left.

    Raises: UserError for an interval that is none, or a folder that is no sweep's.
    """
    for word, value in (("--watch", every_s), ("--silent", silent_s)):
        if not 0 < value < float("inf"):
            raise UserError(f"{word}={value:g} is not legal; legal: seconds, above 0")
    if not folder.is_dir() or not (has_jobs(folder) or (folder / "multirun.yaml").is_file()):
        raise UserError(f"folder={folder} holds no job; legal is a folder with one sub-folder per job.")
    ages = Ages()
    try:
        while True:
            found = watched(folder, silent_s, ages)
            head = f"{time.strftime('%H:%M:%S')} {folder}"
            print((CLEAR if sys.stdout.isatty() else "") + "\n".join([head, *lines(found)]), flush=True)
            if found.is_over:
                return 0
            time.sleep(every_s)
    except KeyboardInterrupt:
        return INTERRUPTED
