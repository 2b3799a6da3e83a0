"""Cost: pictures of what differs, and the front of what nothing beats."""

from pathlib import Path

from fixtures.study import check_drawn, put_run, study_of

from peftlab.report.page.cost import section


def cell(folder: Path, name: str, size: int, tail: float, wall_s: float = 10.0) -> None:
    counts = {"delta": size, "head": 10, "backbone": 1000}
    costs = {"num_parameters": counts, "wall_s": wall_s, "memory_mib": 500.0}
    for seed in (0, 1):
        put_run(folder, {"peft": name}, seed, {"mean_acc": 0.5, "tail_acc": tail + 0.01 * seed}, **costs)


def test_the_front(tmp_path: Path) -> None:
    for name, size, tail in (
        ("small", 10, 0.3),
        ("worse", 50, 0.2),
        ("middle", 100, 0.5),
        ("large", 1000, 0.5),
    ):
        cell(tmp_path / "s", name, size, tail, wall_s=10.0 + size / 10)
    found = section(study_of(tmp_path / "s"))
    assert found is not None
    assert found.words == ["**Front** of tail by trained parameters: small (10: 30.5), middle (100: 50.5)."]
    assert [drawing.name for drawing in found.drawings] == ["cost-parameters", "cost-time"], (
        "memory is the same"
    )
    svg = check_drawn(found.drawings[0], tmp_path / "out")
    assert "middle: 50.5 at 100" in svg


def test_cells_of_one_cost_have_no_section(tmp_path: Path) -> None:
    for name in ("a", "b"):
        cell(tmp_path / "s", name, 10, 0.5)
    assert section(study_of(tmp_path / "s")) is None
