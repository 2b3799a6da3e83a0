"""A wrong word is one sentence."""

import pytest

from peftlab.command.parser import Parser


def test_a_wrong_word(capsys):
    parser = Parser(prog="it")
    parser.add_argument("--count", type=int)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--count", "few"])
    assert caught.value.code == "it: argument --count: invalid int value: 'few'"
    assert capsys.readouterr().err == ""
