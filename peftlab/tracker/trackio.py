"""trackio: a dashboard on this machine, without an account. A mirror of the run folder, used through `Safe`."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from contextvars import Context
from pathlib import Path
from typing import Any

from peftlab.tracker.plain import plain
from peftlab.tracker.tracker import MAX_ROWS, Opening, Scalar, tell

REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")  # variables that would send the run to another machine
MAX_NAME = 200  # bytes; pictures of a run lie in a folder of its name


class TrackioTracker:
    """One run in the SQLite file of a project. Nothing leaves the machine.

    project: the name of the dashboard, and of the file. folder: where the file and the pictures lie; $TRACKIO_DIR comes
    before it. One process writes to one folder. What trackio does not know is in the config (`kind`, `tags`, `run_id`)
    or in the table `summary`, the last of the run. A name is one run's alone: it ends with digits of the id.
    """

    def __init__(self, *, project: str, folder: str) -> None:
        self.project, self.folder = project, folder
        self._run: Any = None
        self._trackio: Any = None
        self._told: set[str] = set()

    def start(self, opening: Opening) -> None:
        """Opens the run, or goes on with it.

        Raises:
            ImportError: if trackio is not installed.
            OSError: if the folder cannot be made.
            RuntimeError: if this process writes to another folder already, or for what trackio warns of.
        """
        place = Path(os.environ.get("TRACKIO_DIR") or self.folder).expanduser().absolute()
        place.mkdir(parents=True, exist_ok=True)
        self._trackio = _trackio(place)
        name = f"{plain(opening.name)}".encode()[:MAX_NAME].decode(errors="ignore")
        about = {"run_id": opening.run_id, "kind": opening.kind, "tags": list(opening.tags)}
        with _aloud(), _local():
            self._run = Context().run(  # else trackio ends the run that was opened before
                self._trackio.init,
                project=self.project,
                name=f"{name}-{opening.run_id[:8]}",
                group=None if opening.group is None else plain(opening.group),
                config=plain({**opening.config, **about}),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        self._run.id = opening.run_id  # its own is another at each start where it cannot look up the run
        self._run._warn_once = (
            self._tell_once
        )  # its thread, which writes: of a full disk we speak in our own words

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """One row of numbers; written within half a second."""
        self._run.log(dict(scalars), step=step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        """The first 10,000 rows of a table."""
        table = self._trackio.Table(columns=plain(columns), data=plain(rows[:MAX_ROWS]))
        with _aloud():
            self._run.log({name: table}, step=step)

    def image(self, name: str, picture: AbstractContextManager[Path], *, step: int) -> None:
        """An image file, as it is now."""
        with picture as path, _aloud():
            self._run.log({name: self._trackio.Image(str(path))}, step=step)

    def page(self, name: str, path: Path, *, step: int) -> None:
        """A page, as it is now."""
        with _aloud():
            self._run.log(
                {name: self._trackio.Html(path.read_text(encoding="utf-8"), inject=False)}, step=step
            )

    def finish(self, summary: dict[str, Scalar], *, exit_code: int) -> None:
        """The final numbers as a table of keys and values, and the end of the run."""
        rows = [[key, value] for key, value in {**summary, "exit_code": exit_code}.items()]
        with _aloud(), redirect_stdout(io.StringIO()):
            try:
                self._run.log({"summary": self._trackio.Table(columns=["key", "value"], data=plain(rows))})
            finally:
                self._run.finish()

    def _tell_once(self, key: str, message: str) -> None:
        if key not in self._told:
            self._told.add(key)
            tell("trackio", f"{' '.join(message.split())[:300]}; the run goes on")


@contextmanager
def _aloud() -> Iterator[None]:
    """trackio warns of what it fails in, and goes on. Here that is an exception."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    for warning in told:
        if warning.category is UserWarning:
            raise RuntimeError(str(warning.message))


@contextmanager
def _local() -> Iterator[None]:
    """At its start trackio would ask the hub of Hugging Face who we are, and follow variables to another machine."""
    from huggingface_hub import constants

    kept = {name: os.environ.pop(name) for name in REMOTE if name in os.environ}
    was, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        constants.HF_HUB_OFFLINE = was
        os.environ.update(kept)


def _trackio(place: Path) -> Any:
    """The library, which reads where to write when it is imported, and never again."""
    was = os.environ.get("TRACKIO_DIR")
    os.environ["TRACKIO_DIR"] = str(place)
    try:
        import trackio  # two seconds, and nothing to a run without this tracker
    except ImportError as error:
        raise ImportError(f'{error}: pip install "peftlab[trackio]"') from error
    finally:
        os.environ.pop("TRACKIO_DIR")
        if was is not None:
            os.environ["TRACKIO_DIR"] = was
    writes_to = Path(trackio.utils.TRACKIO_DIR)
    if writes_to != place:
        raise RuntimeError(
            f"this process writes to {writes_to} already and cannot write to {place}; legal: one folder for all runs of a process"
        )
    return trackio
