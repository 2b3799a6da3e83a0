"""`peftlab-report --serve PORT`: the page on this machine alone, made again while a sweep runs."""

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from peftlab.errors import UserError
from peftlab.record.status import read_status
from peftlab.report.job import job_folders
from peftlab.report.page.report import Request, write_page
from peftlab.report.page.write import INDEX

HOST = "127.0.0.1"
EVERY_S = 5.0  # between looks at the records
RELOAD = (
    "<script>(() => {{ const now = {stamp}; setInterval(async () => {{ try {{ const said = await fetch('/stamp');"
    " if (said.ok && Number(await said.text()) !== now) location.reload(); }} catch {{}} }}, 3000); }})();</script>"
)


def serve(request: Request, port: int) -> None:
    """Show the report until the process is interrupted. The page in a browser follows the records by itself.

    Raises: UserError for a port that is none or taken, and whatever `write_page` refuses.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--serve={port} is no port; legal: 1 to 65535, or 0 for any that is free")
    live = Live(request)
    live.renew()
    try:
        server = ThreadingHTTPServer((HOST, port), partial(Handler, live=live, directory=str(live.root)))
    except OSError as error:
        raise UserError(
            f"--serve={port} cannot be listened on: {error.strerror}; legal: a free port, or 0"
        ) from error
    with server:
        threading.Thread(target=live.follow, daemon=True).start()
        print(f"http://{HOST}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        server.serve_forever()


class Live:
    """A report that is made again when the records of its sweeps have changed."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.shown = [folder.resolve() for folder in (*request.folders, request.out)]
        self.root = Path(os.path.commonpath(self.shown))
        self.stamp = 0.0  # of the page

    @property
    def path(self) -> str:
        """Of the page, as a browser asks for it."""
        page = self.request.out.resolve() / INDEX
        return "/" + quote(page.relative_to(self.root).as_posix())

    def has(self, path: Path) -> bool:
        """Whether a file is in a folder that is shown; a link that leads out of them is not, nor is a name that no file has."""
        try:
            there = path.resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return any(there.is_relative_to(folder) for folder in self.shown)

    def renew(self) -> None:
        """Write the page, with pictures for the browser alone."""
        write_page(self.request, ("svg",))
        self.stamp = time.time()

    def follow(self, wait: Callable[[float], Any] = time.sleep) -> None:
        """Renew the page after every change, for as long as the process lives."""
        seen, trouble = state(self.request.folders), ""
        while True:
            wait(EVERY_S)
            now = state(self.request.folders)
            if now == seen:
                continue
            try:
                self.renew()
                seen, trouble = now, ""
            except (
                Exception
            ) as error:  # a record that is being written, a full disk: the next look may find it well
                if str(error) != trouble:
                    print(
                        f"warning: the page is older than the records: {error}", file=sys.stderr, flush=True
                    )
                trouble = str(error)


def state(folders: list[Path]) -> dict[str, tuple[str, int]]:
    """Of each run its state and when its result was written: what the report is made of, but for beats."""
    found = {}
    for job in (job for folder in folders for job in job_folders(folder)):
        try:
            written = (job / "result.json").stat().st_mtime_ns
        except OSError:
            written = 0
        found[str(job)] = str(read_status(job).get("state")), written
    return found


class Handler(SimpleHTTPRequestHandler):
    """The page and the files of its sweeps, to this machine alone."""

    server_version, sys_version = "peftlab", ""

    def __init__(self, *arguments: Any, live: Live, **given: Any) -> None:
        self.live = live
        super().__init__(*arguments, **given)

    def do_GET(self) -> None:
        """The page at `/`, its stamp at `/stamp`, else a file."""
        self._answer(super().do_GET)

    def do_HEAD(self) -> None:
        """As GET, without a body."""
        self._answer(super().do_HEAD)

    def _answer(self, show: Callable[[], None]) -> None:
        """show: says a file, as the method has it."""
        path = urlsplit(self.path).path
        if not self._is_local():
            self.send_error(403, "only this machine may ask")
        elif path == "/":
            self.send_response(302)
            self.send_header("Location", self.live.path)
            self.end_headers()
        elif path == "/stamp":
            self._say(str(self.live.stamp).encode(), "text/plain")
        elif path == self.live.path:
            page = (self.live.request.out / INDEX).read_text(encoding="utf-8")
            script = RELOAD.format(stamp=self.live.stamp)
            self._say(page.replace("</body>", f"{script}\n</body>").encode(), "text/html; charset=utf-8")
        elif self.live.has(Path(self.translate_path(self.path))):
            show()
        else:
            self.send_error(404)

    def _is_local(self) -> bool:
        """Whether it was asked for by a name of this machine: a page elsewhere may have its own name lead here."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        return host in (HOST, "localhost")

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self) -> None:
        """What a run recorded is shown, and runs nothing of its own in the page's name."""
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *words: Any) -> None:
        """Nothing: the terminal is for people."""
