"""peftlab-runs: list, filter, sort, show, compare, remove, pack and unpack runs and sweeps by their records."""

import argparse
import sys
from pathlib import Path
from typing import Any

from peftlab.command.parser import Parser
from peftlab.errors import WRONG, UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.record.json_file import json_text
from peftlab.report.runs.compare import compare, compare_text
from peftlab.report.runs.pack import pack, unpack
from peftlab.report.runs.remove import refusal, remove, remove_report
from peftlab.report.runs.row import DAMAGED, Row, read_row, rows
from peftlab.report.runs.select import check_key, columns, constant, filtered, ordered
from peftlab.report.runs.sweep import sweeps
from peftlab.report.runs.text import list_csv, list_json, list_text, show_text

EPILOG = """keys: run sweep state peft backbone dataset scaling depth position alpha rank seed task num_parameters, the
headline metrics in % (mean head medium tail), every metric of result.json (test/tail_acc, a fraction), wall_s step_s
memory_mib started attempt error, and choices.KEY for whatever was typed. A folder that is called as a verb is ./list.

examples: peftlab-runs outputs --sort tail --where peft=lora
          peftlab-runs outputs/sweep/NAME --where 'tail>50' --where seed=0,1 --csv
          peftlab-runs outputs --sweeps --sort tail
          peftlab-runs show outputs/RUN
          peftlab-runs compare outputs/RUN outputs/OTHER
          peftlab-runs remove outputs --state failed
          peftlab-runs pack outputs/sweep/NAME runs.tar.xz"""


def main(argv: list[str] | None = None) -> int:
    """`peftlab-runs`: 0, 1 (something could not be removed) or 2 (wrong input)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in CALLS and words[0] not in ("-h", "--help")):
        words.insert(0, "list")
    chosen = _parser().parse_args(words)
    try:
        return CALLS[chosen.verb](chosen)
    except UserError as error:
        print(f"peftlab-runs: {plain(str(error))}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    style = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="peftlab-runs", description=__doc__, epilog=EPILOG, formatter_class=style)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", help="list if it is left out")
    listing = verbs.add_parser(
        "list", help="a table of the runs below a folder", epilog=EPILOG, formatter_class=style
    )
    listing.add_argument("folder", nargs="?", default="outputs", help="default: outputs")
    removing = verbs.add_parser("remove", help="remove runs: says which, and asks")
    removing.add_argument("folder", nargs="+", help="a run, or a folder of runs")
    for one in (listing, removing):
        one.add_argument(
            "--where", action="append", default=[], metavar="KEY=VALUE", help="also != < > <= >= and lists"
        )
        one.add_argument(
            "--state", action="append", default=[], help="ok, diverged, failed, interrupted, ..."
        )
    listing.add_argument("--sweeps", action="store_true", help="a line for each sweep, not for each run")
    listing.add_argument("--sort", metavar="KEY", help="a metric: best first; all else ascending")
    listing.add_argument("--reverse", action="store_true", help="the other way round")
    listing.add_argument("--limit", type=int, metavar="N", help="the first N")
    listing.add_argument("--columns", metavar="KEY,KEY", help="instead of what differs and the metrics")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    removing.add_argument("--dry-run", action="store_true", help="only say which")
    showing = verbs.add_parser("show", help="all that the records of a run say")
    showing.add_argument("folder")
    comparing = verbs.add_parser("compare", help="differences of config and metrics of two runs")
    comparing.add_argument("folder", nargs=2)
    for one in (listing, showing, comparing):
        one.add_argument("--json", action="store_true", help="for programs")
    listing.add_argument("--csv", action="store_true", help="for spreadsheets")
    _add_packing(verbs)
    return parser


def _add_packing(verbs: Any) -> None:
    packing = verbs.add_parser(
        "pack", help="put the finished runs below a folder, without models, into a file beside what it holds"
    )
    packing.add_argument("folder")
    packing.add_argument("file", help="as runs.tar.xz")
    unpacking = verbs.add_parser(
        "unpack", help="write the runs of such a file below a folder: a sweep there goes on from them"
    )
    unpacking.add_argument("file")
    unpacking.add_argument("folder")


def _list(chosen: argparse.Namespace) -> int:
    what = "sweeps" if chosen.sweeps else "runs"
    everything = rows(expanded(chosen.folder))
    everything = sweeps(everything) if chosen.sweeps else everything
    if chosen.limit is not None and chosen.limit < 1:
        raise UserError(f"--limit={chosen.limit}; legal: a whole number above 0")
    found = filtered(everything, chosen.where, chosen.state)
    if chosen.sort is not None:
        check_key(everything, chosen.sort, "--sort")
        found = ordered(found, chosen.sort, chosen.reverse) if found else found
    elif chosen.reverse:
        found = found[::-1]
    found = found[: chosen.limit]
    names = chosen.columns.split(",") if chosen.columns else columns(found)
    for name in names if chosen.columns else ():
        check_key(everything, name, "--columns")
    if chosen.json or chosen.csv:
        print(list_json(found) if chosen.json else list_csv(found, names), end="")
    elif not found:
        said = f"none of its {len(everything)} {what} fits" if everything else f"no {what[:-1]} in it"
        print(f"{plain(chosen.folder)}: {said}")
    else:
        print(list_text(found, names), end="")
        _print_below(found, f"{len(everything)} {what}", bool(chosen.columns))
    return 0


def _print_below(found: list[Row], number: str, chose: bool) -> None:
    if not chose and (same := constant(found)):
        print(plain(f"everywhere: {', '.join(same)}"))
    for row in [row for row in found if row.state == DAMAGED and "run" in row.values][:10]:
        print(plain(f"{DAMAGED}: {row.values['run']}: {row.values['error']}"))
    number = number.removesuffix("s") if number.startswith("1 ") else number
    print(number if number.startswith(f"{len(found)} ") else f"{len(found)} of {number}")


def _show(chosen: argparse.Namespace) -> int:
    row = _run(expanded(chosen.folder))
    said = {"status": row.status, "result": row.result}
    print(
        json_text({"folder": str(row.folder), **row.values, **said}, indent=1)
        if chosen.json
        else show_text(row),
        end="",
    )
    return 0


def _run(folder: Path) -> Row:
    found = rows(folder)
    if [row.folder for row in found] != [folder]:
        inside = (
            f"it holds {len(found)} runs, which peftlab-runs {folder} lists" if found else "it holds no run"
        )
        raise UserError(f"{folder} is not the folder of a run; {inside}")
    return read_row(folder, folder)


def _compare(chosen: argparse.Namespace) -> int:
    found = compare([_run(expanded(name)).folder for name in chosen.folder])
    print(json_text(found, indent=1) if chosen.json else compare_text(found), end="")
    return 0


def _remove(chosen: argparse.Namespace) -> int:
    found = []
    for name in chosen.folder:
        found += filtered(rows(expanded(name)), chosen.where, chosen.state)
    reasons = {row.folder: refusal(row.folder) for row in found}
    for folder, why in reasons.items():
        print(plain(f"{folder}: {'is kept, ' + why if why else 'will be removed'}"))
    doomed = [folder for folder, why in reasons.items() if why is None]
    if not doomed:
        print("nothing to remove")
        return int(bool(reasons))
    if chosen.dry_run:
        return 0
    if not chosen.yes and not _asked(len(doomed)):
        print("nothing was removed; --yes does not ask")
        return 1
    results = {folder: remove(folder) for folder in doomed}
    for folder, result in results.items():
        if result.why:
            print(plain(f"{folder}: {result.why}"))
    for parent in dict.fromkeys(folder.parent for folder in doomed):
        if (parent / "sweep.csv").is_file() and remove_report(parent):
            print(plain(f"{parent}: the sweep is empty and removed"))
    gone = sum(result.is_gone for result in results.values())
    print(f"{gone} of {len(reasons)} runs removed")
    return int(gone < len(reasons))


def _pack(chosen: argparse.Namespace) -> int:
    came, every = pack(expanded(chosen.folder), expanded(chosen.file))
    print(plain(f"{chosen.file}: {len(came)} runs of {chosen.folder}, {len(every)} in all"))
    return 0


def _unpack(chosen: argparse.Namespace) -> int:
    came, there = unpack(expanded(chosen.file), expanded(chosen.folder))
    left = f"; {len(there)} were there and are left as they are" if there else ""
    print(plain(f"{chosen.folder}: {len(came)} runs written{left}"))
    return 0


def _asked(number: int) -> bool:
    """Whether a person says yes; nobody at the terminal says no."""
    try:
        return sys.stdin.isatty() and input(f"remove {number} runs? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


CALLS = {
    "list": _list,
    "show": _show,
    "compare": _compare,
    "remove": _remove,
    "pack": _pack,
    "unpack": _unpack,
}
