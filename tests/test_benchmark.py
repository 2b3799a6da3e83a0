"""scripts/benchmark.py on two small blocks: what it counts, and what it writes."""

import json
from pathlib import Path
from types import ModuleType

import pytest
from fixtures.scripts import script_of


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_of("benchmark")


@pytest.mark.slow
def test_steps_have_a_ratio_a_bound_and_a_peak_and_are_written(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(script.OURS, "top", ("placement.depth=1",))
    monkeypatch.setitem(
        script.VARIANTS, "top", lambda setting: script.ours(setting, ("placement.depth=1", "peft.rank=2"))
    )
    files = {name: tmp_path / name for name in ("json", "markdown")}
    words = ["--rounds", "2", "--batch", "2", "--variants", "lora,top,meta1", "backbone=tiny", "peft.rank=2"]
    found = script.main([*words, *(f"--{name}={path}" for name, path in files.items())])
    steps = found["steps"]
    assert list(steps) == ["floor", "lora", "top", "meta1"]
    assert steps["floor"]["over_floor"] == [1, 1, 1]
    # r (d_in + d_out) / (d_in d_out) of its layers is 0.25 at width 16, r = 2; attention, stem and head take none
    assert 1.1 < steps["lora"]["bound"] < 1.25
    assert steps["top"]["bound"] < steps["lora"]["bound"] - 0.2
    assert all(row["peak_mib"] > 0 for row in steps.values())
    assert set(found["pairs"]) == {"top / lora", "meta1 / lora"}
    assert json.loads(files["json"].read_text()) == json.loads(json.dumps(found))
    assert files["markdown"].read_text().count("\n| ") == 5


def test_a_variant_that_is_not_there_is_refused(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        script.main(["--variants", "nobody"])
    assert error.value.code == 2
    assert "nobody" in capsys.readouterr().err
