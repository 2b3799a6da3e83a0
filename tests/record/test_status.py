"""What a status says, and who is at work; what Record does with it stands in test_record.py."""

import json
import os
import socket
import time

import pytest

from peftlab.record.status import DONE, STATES, is_busy, read_status


def test_states():
    assert set(DONE) < set(STATES)
    assert len(set(STATES)) == len(STATES) == 5


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3"])
def test_what_cannot_be_read_says_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path) == {}


def test_another_process_is_busy_and_this_one_is_not(tmp_path):
    mine = {"state": "running", "pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
    other = {**mine, "pid": os.getppid()}
    (tmp_path / "status.json").write_text(json.dumps(other))
    assert is_busy(read_status(tmp_path))
    assert not is_busy(mine)
    assert not is_busy({**other, "state": "ok"})
    assert not is_busy({**other, "host": "elsewhere"})
