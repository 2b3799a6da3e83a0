"""A wrong word is one sentence."""

import pytest

import peftlab
from peftlab.command.parser import Parser


def test_a_wrong_word(capsys):
    parser = Parser(prog="it")
    parser.add_argument("--count", type=int)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--count", "few"])
    assert caught.value.code == "it: argument --count: invalid int value: 'few'"
    assert capsys.readouterr().err == ""


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        Parser(prog="it").parse_args(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"peftlab {peftlab.__version__}\n"
