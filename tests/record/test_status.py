"""What a status says; what Record does with it stands in test_record.py, and who is at work in test_lock.py."""

import pytest

from peftlab.record.status import DONE, STATES, read_status


def test_states():
    assert set(DONE) < set(STATES)
    assert len(set(STATES)) == len(STATES) == 6


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", "[" * 3000])
def test_what_cannot_be_read_says_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path) == {}
