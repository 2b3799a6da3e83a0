"""Weights & Biases: a mirror of the run folder, used through `Safe`, so that it may fail."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from peftlab.option import PositiveFloat
from peftlab.tracker.login import has_login, home
from peftlab.tracker.plain import plain
from peftlab.tracker.tracker import MAX_ROWS, Opening, Scalar, one_line, tell

MAX_TAG, MAX_NAME = 64, 128  # what wandb takes: it refuses a longer tag, and the run with it
OFFLINE = ("offline", "dryrun", "disabled")  # the modes that need no login


class WandbTracker:
    """One W&B run.

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

    def start(self, opening: Opening) -> None:
        """Opens the run; where the server knows its id, that run goes on.

        The offline stand-in of a failed online start is `<id>-offline`: wandb-core holds the failed id.
        """
        tags = [tag.strip()[:MAX_TAG] for tag in plain([*self.tags, *opening.tags])]
        arguments = {
            "name": plain(opening.name)[:MAX_NAME],
            "group": None if opening.group is None else plain(opening.group)[:MAX_NAME],
            "job_type": opening.kind,
            "tags": [tag for tag in dict.fromkeys(tags) if tag],
            "config": plain(opening.config),
            "dir": str(opening.folder),
            "reinit": "create_new",  # several runs may be open in one process; wandb.run stays None
        }
        agent = bool(
            os.environ.get("WANDB_SWEEP_ID")
        )  # `wandb agent` has set project and entity, and the run's id
        if not (agent and opening.kind == "run"):
            arguments |= {"id": opening.run_id, "resume": "allow"}
        if not agent:
            arguments |= {"project": self.project, "entity": self.entity}
        self._connect(arguments)
        axes = {series.axis for series in opening.series}
        for name, axis, keep in opening.series:
            self._run.define_metric(
                name, step_metric=axis, summary=",".join(keep) or None, hidden=name in axes
            )

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """One row of numbers on the tracker's own axis `step`: a resumed run may go back without loss."""
        self._run.log({**scalars, "step": step})

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        """The first 10,000 rows of a table, for what would be hundreds of scalars: per-class accuracy, gammas."""
        table = _wandb().Table(columns=plain(columns), data=plain(rows[:MAX_ROWS]), allow_mixed_types=True)
        self._run.log({name: table, "step": step})

    def image(self, name: str, picture: AbstractContextManager[Path], *, step: int) -> None:
        """An image file, as it is now."""
        with picture as path:
            self._run.log({name: _wandb().Image(str(path)), "step": step})

    def page(self, name: str, path: Path, *, step: int) -> None:
        """A page, as it is now."""
        self._run.log({name: _wandb().Html(path, inject=False), "step": step})

    def finish(self, summary: dict[str, Scalar], *, exit_code: int) -> None:
        """The final numbers and the end of the run: `exit_code` 0 is finished, any other failed."""
        try:
            self._run.summary.update(plain(summary))
        finally:
            self._run.finish(exit_code=exit_code)

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
            try:
                self._open(mode, attempt)
                break
            except Exception as error:
                failures.append(f"{mode}: {one_line(error)}")
        if self._run is None:
            raise ConnectionError("; ".join(failures))
        if failures:
            tell("wandb", "; ".join([*failures, f"recorded offline in {self._run.dir}"]))

    def _open(self, mode: str, arguments: dict[str, Any]) -> None:
        own = Path(arguments["dir"], "wandb")
        own.mkdir(parents=True, exist_ok=True)  # else wandb writes to /tmp
        _give_home(str(own))
        wandb = _wandb()
        wandb.setup(wandb.Settings(silent=True))  # only this keeps it from asking for a key on a terminal
        settings = wandb.Settings(
            console="off",
            init_timeout=self.init_timeout_s,
            finish_timeout=self.finish_timeout_s,  # 0, its default, waits for a lost server for ever
            x_graphql_retry_max=2,
            x_graphql_retry_wait_max_seconds=1.0,
        )
        self._run = wandb.init(mode=mode, settings=settings, **arguments)


def _give_home(folder: str) -> None:
    """wandb and its wandb-core want a home, and to write there; where that cannot be, they get a place of ours."""
    found = home()
    if found is None:
        os.environ["HOME"] = folder
    elif not os.access(found, os.W_OK):
        for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            os.environ.setdefault(name, folder)


def _wandb() -> Any:
    import wandb  # half a second, and nothing to a run without this tracker

    return wandb
