"""configs/ and the packaged weights are found from a checkout and from a built wheel."""

import fnmatch
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from peftlab.config.directory import config_dir

ROOT = Path(__file__).resolve().parents[1]


def test_a_checkout_uses_its_own_configs() -> None:
    assert config_dir() == ROOT / "configs"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_carries_configs_and_weights_and_composes(wheel: Path, tmp_path: Path) -> None:
    inside = {
        str(path.relative_to(wheel / "peftlab" / "configs"))
        for path in (wheel / "peftlab" / "configs").rglob("*.yaml")
    }
    assert inside == {str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*.yaml")}
    sources = {str(path.relative_to(wheel)) for path in (wheel / "peftlab").rglob("*.py")}
    assert sources == {str(path.relative_to(ROOT)) for path in (ROOT / "peftlab").rglob("*.py")}
    assert (
        wheel / "peftlab" / "backbone" / "weights" / "vit_tiny_patch8_32.safetensors"
    ).stat().st_size > 10_000_000
    lines = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); sys.argv[1:] = ['--cfg', 'job']",
        "import peftlab.command.train as train; print(train.__file__); train.main()",
    )
    code = "; ".join(lines)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(wheel) in done.stdout
    assert "peftlab.peft.lora.Lora" in done.stdout
    assert not list(tmp_path.iterdir()), "looking at a config writes nothing"


def test_the_readme_has_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "\npip install -e . && peftlab\n" in text
    assert '\npip install -e ".[dev]" && pytest\n' in text


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """pytest's own list has `build`."""
    patterns = pytestconfig.getini("norecursedirs")
    folders = [path for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) > 20
    assert not [path for path in folders if any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)]
