"""peftlab-sweep: the report of a sweep that ran before, or still runs."""

from pathlib import Path

from peftlab.command.parser import Parser
from peftlab.report.report import write_report
from peftlab.report.table import print_table


def main(argv: list[str] | None = None) -> int:
    """`peftlab-sweep`: rebuild and print a sweep's report; 0, 1 (not all was measured) or 2 (wrong input)."""
    parser = Parser(prog="peftlab-sweep", description="Rebuild and print a sweep's report.")
    parser.add_argument("folder", help="the folder of a sweep, with one sub-folder per job")
    parser.add_argument("--baseline", help="cell to compare with: placement.depth=0-2,placement.position=q")
    arguments = parser.parse_args(argv)
    with parser.answers(Path(arguments.folder)):
        report = write_report(arguments.folder, baseline=arguments.baseline)
    print_table(report)
    return report.exit_code
