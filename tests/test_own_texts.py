"""A whole run on texts: it trains, is tested once, and says texts where it says what the items are."""

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from peftlab.command.train import main


@pytest.mark.usefixtures("fresh_trunk")
def test_a_file_of_one_s_own_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{word} number {row},{word}" for row in range(20) for word in ("card", "loan")]
    (tmp_path / "messages.csv").write_text("\n".join(["text,label", *rows, ""]))
    monkeypatch.chdir(tmp_path)
    words = [
        "backbone=tiny_text",
        "dataset=text_folder",
        "dataset.path=messages.csv",
        "fit.epochs=1",
        "device=cpu",
    ]
    monkeypatch.setattr("sys.argv", ["peftlab", *words, "fit.batch_size=8", "dataset.max_length=10"])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as stop:
        main()
    GlobalHydra.instance().clear()
    assert not stop.value.code
    said = " ".join(capsys.readouterr().out.split())
    assert "text_folder, 32 texts to train on, 2 classes" in said
    assert "32 of 32 cut to 10 tokens, which lose" in said
    assert "audit: 32 train, 8 test; no item in two splits" in said
    assert "│ texts ┃" in said or "┃ texts ┃" in said
    (table,) = tmp_path.rglob("per_class.csv")
    assert [line.split(",")[4] for line in table.read_text().splitlines()] == ["test_num", "4", "4"]
