"""The entry point `peftlab`: from a command line to runs. Imports no torch until a config has passed every check."""

import os
import re
import shlex
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from peftlab import __version__
from peftlab.command.parser import check_options
from peftlab.command.plan import split_plan
from peftlab.config.directory import config_dir
from peftlab.config.hydra_version import VERSION_BASE, careful_save, trusted_targets
from peftlab.config.multirun import Multirun
from peftlab.config.name import register_resolvers
from peftlab.config.sentence import check_effect, sentence
from peftlab.config.words import check_choices
from peftlab.engine.job import job_of
from peftlab.engine.separate import run_job
from peftlab.engine.torchrun import is_several, run_rank, together
from peftlab.errors import FAILED, INTERRUPTED, WRONG, UserError, say, stop
from peftlab.record.whole_file import WAY_OUT, refusal
from peftlab.report.callback import SweepReport, note


def main() -> None:
    """`command`, or this process's part of it where torchrun has started several."""
    if is_several():
        together(command)
    command()


def command() -> NoReturn:
    """Run, sweep or print what the command line asks for, and exit.

    Exit codes: 0 all ran, 1 a run failed, 2 the command was refused before anything ran, 130 interrupted.
    """
    if "--version" in sys.argv[1:]:  # Hydra would say its own
        print(f"peftlab {__version__}")
        sys.exit(0)
    typed = sys.argv[1:]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand errors over to us instead of printing half a traceback
    sys.argv[1:], Multirun.plan = split_plan(rewrite(sys.argv[1:]))
    check_options(sys.argv[1:])
    SweepReport.started = SweepReport.last = SweepReport.error = None
    register_resolvers()
    run = hydra.main(**VERSION_BASE, config_path=str(config_dir()), config_name="config")(job)
    try:
        check_effect(sys.argv[1:])
        check_choices(sys.argv[1:])
        with trusted_targets(), careful_save():
            run()
    except SystemExit:
        if SweepReport.started is not None:  # interrupted: Hydra then ends without a report
            SweepReport().on_multirun_end(SweepReport.started)
            say(goes_on(typed))
        raise
    except (UserError, HydraException, OmegaConfBaseException, ValueError, RuntimeError) as error:
        # the last two are Hydra's, for its own keys; `job` lets none out
        stop(f"peftlab: {sentence(error, sys.argv[1:])}")
    except OSError as error:  # Hydra's, who makes the folders
        if SweepReport.started is not None:
            SweepReport().on_multirun_end(SweepReport.started)
        told = refusal(error, Path.cwd())
        other = f"{error.filename} of hydra.run.dir or hydra.sweep.dir cannot be made ({error.strerror}); {WAY_OUT}"
        stop(f"peftlab: {told or other}", FAILED if told else WRONG)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    end(typed)


def goes_on(words: list[str]) -> str:
    """The one command that runs what a sweep has left, and nothing twice."""
    left = [word for word in words if not word.lstrip("+").startswith("resume=")]
    program = f"torchrun --nproc-per-node {os.environ['WORLD_SIZE']} -m " if is_several() else ""
    return f"what is left is run by: {program}peftlab {shlex.join(left)}"


def end(typed: list[str]) -> NoReturn:
    """Exit as the report of the sweep says, if there was one, and say how to go on if something is left of it."""
    if isinstance(SweepReport.error, UserError):
        for lost in SweepReport.untold:
            say(f"peftlab: {lost}")
        stop(f"peftlab: {SweepReport.error}", FAILED if SweepReport.untold else WRONG)
    if SweepReport.error is not None:
        traceback.print_exception(SweepReport.error)
        sys.exit(FAILED)
    if SweepReport.last is None:
        sys.exit(0)
    if SweepReport.last.is_left:
        say(goes_on(typed))
    sys.exit(SweepReport.last.exit_code)


def rewrite(words: list[str]) -> list[str]:
    """Spellings that Hydra does not know: any timm name as a backbone, quoted keys as in YAML, `=`, `~`, `#` and `ä` in a value.

    `backbone=vit_small_patch16_224` without a YAML of its own means `backbone=timm backbone.name=vit_small_patch16_224`, and
    `tracker=[wandb,trackio]` means `tracker=several`: Hydra would merge the two into one.
    """
    known = {file.stem for file in (config_dir() / "backbone").glob("*.yaml")}
    result = []
    for word in words:
        key, equals, value = word.partition("=")
        if key == "placement.cells":
            result.append(re.sub(r"""["']([^"'{}:,]+)["']\s*:""", r"\1:", word))
        elif key == "backbone" and equals and value not in known and re.fullmatch(r"[\w.]+", value):
            result += ["backbone=timm", f"backbone.name={value}"]
        elif key == "tracker" and _is_several(value):
            result.append("tracker=several")
        elif _wants_quotes(value) and (key == "baseline" or "," not in value):
            result.append(f'{key}="{value}"')
        else:
            result.append(word)
    return result


def _is_several(value: str) -> bool:
    """Whether it is a list of those that `tracker=several` holds, as `[wandb,trackio]`, in any order."""
    found = re.fullmatch(r"\[([\w, ]*)\]", value)
    return found is not None and sorted(found[1].replace(" ", "").split(",")) == ["trackio", "wandb"]


def _wants_quotes(value: str) -> bool:
    """Whether it holds what Hydra reads in quotes only: `=`, `~`, `#`, letters beyond ASCII."""
    return (
        value[:1] not in ("", *"\"'[{")
        and '"' not in value
        and re.search(r"[=~#&!;<>^]|[^\x00-\x7f]", value) is not None
    )


def job(cfg: DictConfig) -> str | None:
    """One run of a command line or of a sweep; what `run_job` returns, for a launcher whose jobs run elsewhere."""
    own = job_of(cfg)
    untold = run_rank(own) if is_several() else run_job(own)
    note(own.record.folder.name, untold)
    return untold


if __name__ == "__main__":
    main()
