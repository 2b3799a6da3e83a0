"""A wrong word is one sentence."""

import pytest

import peftlab
from peftlab.command.parser import Parser, check_options


def test_a_wrong_word(capsys):
    parser = Parser(prog="it")
    parser.add_argument("--count", type=int)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--count", "few"])
    assert caught.value.code == 2
    said = "it: argument --count: invalid int value: 'few'; it --help lists what is legal\n"
    assert capsys.readouterr().err == said


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        Parser(prog="it").parse_args(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"peftlab {peftlab.__version__}\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["seed=1", "-m", "optim.lr=1"], "optim.lr=1"),
        (["-x"], "-x"),
        (["--cfg"], "--cfg"),
        (["--cfg", "some"], "some"),
        (["--config-dir"], "--config-dir"),
        (["--nosuch=3"], "--nosuch=3"),
    ],
)
def test_a_wrong_option_of_hydra_is_one_sentence(capsys, words, named):
    with pytest.raises(SystemExit) as caught:
        check_options(words)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("peftlab: ")
    assert named in said
    assert "; legal: KEY=VALUE side by side" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["seed=1"], ["-m", "seed=1,2"], ["seed=1,2", "-m"], ["--cfg", "job"]])
def test_a_legal_option_of_hydra_is_left_to_hydra(capsys, words):
    check_options(words)
    assert capsys.readouterr().err == ""
