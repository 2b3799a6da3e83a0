"""--serve: what is shown, to whom, and that the page follows the records."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fixtures.study import put_run

from peftlab.errors import UserError
from peftlab.report.page import serve as served
from peftlab.report.page.report import Request
from peftlab.report.page.serve import HOST, Handler, Live, serve


class Enough(Exception):
    """The end of a loop that has none."""


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    """A sweep of two runs beside what is nobody's business."""
    for seed in (0, 1):
        put_run(tmp_path / "all" / "sweep", {"peft": "lora"}, seed, {"mean_acc": 0.5})
    (tmp_path / "all" / "secret.txt").write_text("secret")
    return Request([tmp_path / "all" / "sweep"], tmp_path / "all" / "sweep" / "report")


@pytest.fixture
def live(request_of: Request) -> Live:
    found = Live(request_of)
    found.renew()
    return found


@pytest.fixture
def port(live: Live) -> Iterator[int]:
    """Of a server at work."""
    with ThreadingHTTPServer((HOST, 0), partial(Handler, live=live, directory=str(live.root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def ask(
    port: int, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, head and body; the path goes out as it is."""
    there = http.client.HTTPConnection(HOST, port, timeout=10)
    there.putrequest(method, path, skip_host=True)
    there.putheader("Host", f"{HOST}:{port}" if host is None else host)
    there.endheaders()
    answer = there.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    there.close()
    return found


def test_the_page_its_stamp_and_the_files_of_a_run(port: int, live: Live) -> None:
    status, head, _ = ask(port, "/")
    assert (status, head["Location"]) == (302, "/report/index.html")
    status, head, page = ask(port, "/report/index.html")
    assert (status, head["Content-Type"], head["Cache-Control"]) == (
        200,
        "text/html; charset=utf-8",
        "no-store",
    )
    assert "<h1>sweep</h1>" in page
    assert f"const now = {live.stamp};" in page, "it comes back for a newer one"
    assert page.count("fetch(") == 1
    written = (live.request.out / "index.html").read_text()
    assert "fetch(" not in written, "the file asks for nothing"
    status, head, stamp = ask(port, "/stamp")
    assert (status, float(stamp), head["X-Content-Type-Options"]) == (200, live.stamp, "nosniff")
    status, _, text = ask(port, "/lora-0/result.json")
    assert (status, json.loads(text)["metrics"]) == (200, {"test/mean_acc": 0.5})
    assert ask(port, "/report/tables/cells.csv")[0] == 200
    assert "status.json" in ask(port, "/lora-0/")[2], "a link of the page leads to a run's folder"
    assert ask(port, "/lora-0/result.json", "HEAD")[::2] == (200, "")


def test_head_is_get_without_a_body(port: int) -> None:
    for path in ("/", "/stamp", "/report/index.html", "/lora-0/result.json", "/nowhere"):
        status, head, body = ask(port, path, "HEAD")
        same, same_head, _ = ask(port, path)
        assert (status, body) == (same, ""), path
        for name in ("Location", "Content-Type"):
            assert head.get(name) == same_head.get(name), path
    assert ask(port, "/", "POST")[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example:1", "0:1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/stamp", "/report/index.html", "/lora-0/result.json"])
def test_a_name_that_only_leads_here_is_refused(port: int, host: str, method: str, path: str) -> None:
    assert ask(port, path, method, host)[0] == 403


def test_this_machine_may_be_called_localhost(port: int) -> None:
    assert ask(port, "/stamp", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        *(
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/lora-0/../../secret.txt",
            "//etc/passwd",
            "/report/..%2f..%2fsecret.txt",
        ),
        *("/out", "/out/secret.txt", "/lora-0/out.txt", "/nowhere", "/lora-0/%00"),
    ],
)
def test_what_lies_outside_is_not_there(port: int, live: Live, path: str, method: str) -> None:
    """Neither by dots nor by a link that leads out."""
    sweep = live.request.folders[0]
    (sweep / "out").symlink_to(sweep.parent, target_is_directory=True)
    (sweep / "lora-0" / "out.txt").symlink_to(sweep.parent / "secret.txt")
    status, _, body = ask(port, path, method)
    assert (status, "secret" in body) == (404, False)


def test_several_folders_show_themselves_and_not_what_lies_between(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_run(tmp_path / "x" / name, {"peft": name}, 0, {"mean_acc": 0.5})
    (tmp_path / "x" / "between.txt").write_text("secret")
    found = Live(Request([tmp_path / "x" / "a", tmp_path / "x" / "b"], tmp_path / "out" / "report"))
    assert (found.root, found.path) == (tmp_path, "/out/report/index.html")
    assert found.has(tmp_path / "x" / "b" / "b-0" / "result.json")
    assert not found.has(tmp_path / "x" / "between.txt")
    assert not found.has(tmp_path / "x" / "a-and-more")


def follow(live: Live, *steps: Any) -> None:
    """Look at the records once after each step, then no more."""
    waiting = iter(steps)

    def wait(_: float) -> None:
        step = next(waiting, None)
        if step is None:
            raise Enough
        step()

    with pytest.raises(Enough):
        live.follow(wait)


def test_the_page_follows_the_records(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    page, sweep, stamps = live.request.out / "index.html", live.request.folders[0], [live.stamp]

    def more() -> None:
        put_run(sweep, {"peft": "lora"}, 2, {"mean_acc": 0.9})

    def nothing() -> None:
        stamps.append(live.stamp)

    follow(live, nothing, more, nothing, nothing)
    assert stamps[0] == stamps[1] < stamps[2] == stamps[3], "made again once"
    assert "lora-2" in page.read_text()
    assert capsys.readouterr() == ("", "")


def test_a_page_that_cannot_be_made_is_told_once_and_made_at_the_next_look(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken, tried = served.write_page, [True], []

    def write_page(*arguments: Any) -> Path:
        tried.append(arguments)
        if broken[0]:
            raise OSError("No space left on device")
        return real(*arguments)

    monkeypatch.setattr(served, "write_page", write_page)
    sweep = live.request.folders[0]
    before = live.stamp
    follow(
        live,
        lambda: put_run(sweep, {"peft": "lora"}, 2, {"mean_acc": 0.9}),
        lambda: None,
        lambda: broken.clear() or broken.append(False),
        lambda: None,
    )
    assert len(tried) == 3, "twice in vain, once well, and no more"
    assert capsys.readouterr().err == "warning: the page is older than the records: No space left on device\n"
    assert live.stamp > before
    assert "lora-2" in (live.request.out / "index.html").read_text()


@pytest.mark.parametrize("number", [-1, 65536])
def test_a_port_that_is_none(request_of: Request, number: int) -> None:
    with pytest.raises(UserError, match=f"--serve={number} is no port; legal: 1 to 65535, or 0"):
        serve(request_of, number)
    assert not request_of.out.exists()


def test_a_port_that_is_taken(request_of: Request) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=f"--serve={number} cannot be listened on: .*; legal: a free port"
        ):
            serve(request_of, number)


def test_ctrl_c_ends_it(request_of: Request) -> None:
    code = "import sys; from peftlab.command.report import main; sys.exit(main())"
    words = [str(request_of.folders[0]), "--serve", "0"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith(f"http://{HOST}:"), said
            assert said.endswith("/ (Ctrl-C ends it)\n")
            port = int(said.removeprefix(f"http://{HOST}:").partition("/")[0])
            assert ask(port, "/stamp")[0] == 200
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "")
