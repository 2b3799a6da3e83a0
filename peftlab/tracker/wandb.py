"""Weights & Biases: a mirror of the run folder. Whatever goes wrong in it, the run goes on."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from peftlab.option import PositiveFloat
from peftlab.tracker.login import has_login

MAX_TAG = 64  # characters; wandb refuses a longer tag, and the run with it
OFFLINE = ("offline", "dryrun", "disabled")  # the modes that need no login
WITHOUT = "the run goes on without it"


class WandbTracker:
    """One W&B run. The first failure is told on stderr, the next ones are not; none ends the run.

    mode: online | offline | disabled; null takes $WANDB_MODE, else online with a login, else offline. Online
    without a login, or with a server that does not answer, becomes offline: never a prompt.
    init_timeout_s, finish_timeout_s: the longest that the start and the end of the run wait for the server.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        mode: Literal["online", "offline", "disabled"] | None,
        tags: list[str],
        init_timeout_s: PositiveFloat,
        finish_timeout_s: PositiveFloat,
    ) -> None:
        self.project, self.entity, self.mode, self.tags = project, entity, mode, tags
        self.init_timeout_s, self.finish_timeout_s = init_timeout_s, finish_timeout_s
        self._run: Any = None
        self._told = False

    def start(
        self,
        *,
        run_id: str,
        name: str,
        group: str | None,
        tags: list[str],
        config: dict[str, Any],
        folder: Path,
    ) -> None:
        """Opens the run; where the server knows `run_id`, that run goes on.

        The offline stand-in of a failed online start is `<run_id>-offline`: wandb-core holds the failed id.
        """
        arguments = {
            "name": name,
            "group": group,
            "tags": list(dict.fromkeys(tag[:MAX_TAG] for tag in [*self.tags, *tags] if tag)),
            "config": config,
            "dir": str(folder),
            "reinit": "create_new",  # several runs may be open in one process; wandb.run stays None
        }
        if not os.environ.get("WANDB_SWEEP_ID"):  # else `wandb agent` has set id, project and entity
            arguments |= {"id": run_id, "resume": "allow", "project": self.project, "entity": self.entity}
        self._connect(arguments)

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """One row of numbers on the tracker's own axis `step`: a resumed run may go back without loss."""
        self._try("log", lambda run: run.log({**scalars, "step": step}))

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """A table, for what would be hundreds of scalars: per-class accuracy, gammas."""
        self._try("table", lambda run: run.log({name: _wandb().Table(columns=columns, data=rows)}))

    def image(self, name: str, path: Path) -> None:
        """An image file, as it is now."""
        self._try("image", lambda run: run.log({name: _wandb().Image(str(path))}))

    def finish(self, summary: dict[str, float | int | str], *, exit_code: int) -> None:
        """The final numbers and the end of the run: `exit_code` 0 is finished, any other failed."""

        def call(run: Any) -> None:
            try:
                run.summary.update(summary)
            finally:
                run.finish(exit_code=exit_code)

        self._try("finish", call)
        self._run = None

    def _connect(self, arguments: dict[str, Any]) -> None:
        mode = self.mode or os.environ.get("WANDB_MODE") or ("online" if has_login() else "offline")
        attempts, failures = [(mode, arguments)], []
        if mode not in OFFLINE and has_login():
            stand_in = {"id": f"{arguments['id']}-offline"} if "id" in arguments else {}
            attempts.append(("offline", arguments | stand_in))
        elif mode not in OFFLINE:
            attempts = [("offline", arguments)]
            failures.append(f"{mode}: no login (WANDB_API_KEY or `wandb login`)")
        for mode, attempt in attempts:
            if not (failure := self._open(mode, attempt)):
                break
            failures.append(f"{mode}: {failure}")
        if failures:
            lost = self._run is None
            _warn("; ".join([*failures, WITHOUT if lost else f"recorded offline in {self._run.dir}"]))

    def _open(self, mode: str, arguments: dict[str, Any]) -> str:
        """Opens the run; the answer is empty, or says what went wrong."""
        try:
            wandb = _wandb()
            wandb.setup(wandb.Settings(silent=True))  # only this keeps it from asking for a key on a terminal
            Path(arguments["dir"]).mkdir(parents=True, exist_ok=True)  # else wandb writes to /tmp
            settings = wandb.Settings(
                console="off",
                init_timeout=self.init_timeout_s,
                finish_timeout=self.finish_timeout_s,  # 0, its default, waits for a lost server for ever
                x_graphql_retry_max=2,
                x_graphql_retry_wait_max_seconds=1.0,
            )
            run = wandb.init(mode=mode, settings=settings, **arguments)
            run.define_metric("step", hidden=True)
            run.define_metric("*", step_metric="step")
        except Exception as error:
            return _sentence(error)
        self._run = run
        return ""

    def _try(self, what: str, call: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            call(self._run)
        except Exception as error:  # one bad value; or wandb-core was killed, and every call raises
            if not self._told:
                _warn(f"{what}: {_sentence(error)}; {WITHOUT}")
            self._told = True


def _wandb() -> Any:
    import wandb  # half a second, and nothing to a run without this tracker

    return wandb


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _warn(text: str) -> None:
    print(f"warning: wandb: {text}", file=sys.stderr, flush=True)
