"""The three stages in one run: what each leaves behind, that none is repeated, and what is refused before the first."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixtures.go
import pytest
import torch
import yaml
from safetensors.torch import load_file

import peftlab
from peftlab.config.resolve import resolve
from peftlab.record.record import Record
from peftlab.search import stages

TINY = (
    "backbone=tiny",
    "experiment=noah",
    "fit.epochs=2",
    "fit.batch_size=64",
    "placement.epochs=3",
    "placement.lr=0.05",
    "placement.limit=2000",
    "placement.generations=2",
)
Config = Callable[..., dict[str, Any]]


def go(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """One run with its search, as the command line does it."""
    return fixtures.go.go(folder, config, stages.run_found)


def scores_of(folder: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (folder / "search" / "evaluated.jsonl").read_text().splitlines()]
    return {json.dumps(line["genotype"]): line["val/mean_acc"] for line in lines[1:]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One run through all three stages; the tests only read it."""
    from fixtures.configs import composed

    config = composed(*TINY)
    folder = tmp_path_factory.mktemp("noah") / "run"
    go(folder, config)
    return folder, config


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many sub-networks are evaluated from now on."""
    measure, number = stages._Fitness._measure, {"evaluated": 0}

    def watched(self: Any, genotype: Any) -> float:
        number["evaluated"] += 1
        return measure(self, genotype)

    monkeypatch.setattr(stages._Fitness, "_measure", watched)
    return number


def test_what_is_found_is_what_is_trained(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, config = finished
    found = yaml.safe_load((folder / "search" / "found.yaml").read_text())
    result = json.loads((folder / "result.json").read_text())
    card = yaml.safe_load((folder / "adapter.yaml").read_text())
    trained = {site: options for cells in card["cells"].values() for site, options in cells.items()}
    assert trained == found["cells"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["placement"] == found
    assert 0 < result["num_parameters"]["delta"] <= config["placement"]["limit"]
    for site in result["sites"]:
        (width,) = found["cells"][f"{site['block']}.{site['position']}"].values()
        assert site["width"] == width
    assert len(peftlab.load(folder).sites) == len(found["cells"])


def test_the_found_one_is_the_best_that_was_evaluated_and_its_score_is_that_of_the_supernet_s_weights(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    folder, config = finished
    rows = [json.loads(line) for line in (folder / "search" / "evaluated.jsonl").read_text().splitlines()][1:]
    assert len(rows) == 20
    assert all(row["num_parameters"] <= 2000 for row in rows)
    first = max(rows, key=lambda row: (row["val/mean_acc"], -row["num_parameters"]))
    found = yaml.safe_load((folder / "search" / "found.yaml").read_text())["cells"]
    genes = dict(zip(("tokens", "q", "ffn"), first["genotype"], strict=True))
    for position, widths in genes.items():
        got = [next(iter(found.get(f"{block}.{position}", {0: 0}).values())) for block in (0, 1)]
        assert got == widths

    from peftlab.build.experiment import build
    from peftlab.dataset.batches import EvalBatches
    from peftlab.site import Site

    dataset = build(stages.supernet_of(resolve(config))).trunk.dataset
    model = peftlab.load(folder / "supernet")
    positions = {"tokens": ["tokens"], "q": ["q", "k", "v"], "ffn": ["ffn"]}
    model.use(
        {
            Site(block, name): width
            for position, widths in genes.items()
            for name in positions[position]
            for block, width in enumerate(widths)
        }
    )
    assert dataset.val is not None
    batch = EvalBatches(dataset.val, dataset.eval_transform, batch_size=100, num_workers=0).batch(0)
    with torch.no_grad():
        right = (model(batch.inputs["images"]).argmax(-1) == batch.targets).double()
    mean = torch.stack([right[batch.targets == label].mean() for label in batch.targets.unique()]).mean()
    assert mean.item() == pytest.approx(first["val/mean_acc"])


def test_the_supernet_is_a_run_of_its_own_with_its_own_epochs(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = finished
    rows = [json.loads(line) for line in (folder / "supernet" / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "train/loss" in row]
    assert len(steps) == 3 * 4
    assert max(row["train/lr"] for row in steps) == pytest.approx(0.05)
    config = yaml.safe_load((folder / "supernet" / "config.yaml").read_text())
    assert config["placement"]["_target_"].endswith(".supernet")
    assert json.loads((folder / "supernet" / "status.json").read_text())["state"] == "ok"


@pytest.mark.slow
def test_a_search_that_is_started_again_repeats_no_evaluation(
    finished: tuple[Path, dict[str, Any]], composed: Config, tmp_path: Path, count: dict[str, int]
) -> None:
    """Stopped after 7 of 20, on the supernet of the finished run, which is not trained again."""
    folder, _ = finished
    config = composed(*TINY, f"placement.run={folder / 'supernet'}")
    write, lines = stages.write_scores, []

    def stopping(record: Any, identity: Any, known: Any, *more: Any) -> None:
        write(record, identity, known, *more)
        lines.append(len(known))
        if len(known) == 7 and len(lines) == 7:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "write_scores", stopping)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / "run", config)
    assert count["evaluated"] == 7
    go(tmp_path / "run", config)
    assert count["evaluated"] == 20
    assert not (tmp_path / "run" / "supernet").exists()
    assert scores_of(tmp_path / "run") == scores_of(folder)
    first, second = (load_file(path / "adapter.safetensors") for path in (folder, tmp_path / "run"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_found_placement_loads_by_its_file(
    finished: tuple[Path, dict[str, Any]], composed: Config, tmp_path: Path
) -> None:
    folder, _ = finished
    words = [
        "backbone=tiny",
        "peft=noah",
        "dataset.val_fraction=0.2",
        "recipe=lift",
        "fit.epochs=2",
        "fit.batch_size=64",
    ]
    config = composed(*words, "placement=from_file", f"placement.file={folder / 'search' / 'found.yaml'}")
    go(tmp_path / "run", config)
    first, second = (load_file(path / "adapter.safetensors") for path in (folder, tmp_path / "run"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["dataset.val_fraction=null"],
            r"^dataset\.val_fraction=null leaves placement=noah no items to search on; legal",
        ),
        (["dataset.val_fraction=0.0"], r"^dataset\.val_fraction=0\.0 leaves"),
        (["placement.limit=100"], r"^placement\.limit=100 is less than the 161 parameters of the smallest"),
    ],
)
def test_what_the_search_needs_is_asked_for_before_the_supernet_is_trained(
    composed: Config, tmp_path: Path, words: list[str], sentence: str
) -> None:
    with pytest.raises(peftlab.UserError, match=sentence):
        go(tmp_path / "run", composed(*TINY, *words))
    assert not (tmp_path / "run" / "supernet").exists()


def test_a_supernet_that_does_not_belong_here_is_refused(
    finished: tuple[Path, dict[str, Any]], composed: Config, tmp_path: Path
) -> None:
    folder, _ = finished
    own = f"placement.run={folder / 'supernet'}"
    for words, sentence in (
        (["seed=1"], "was trained on other items"),
        (["placement.depths=[0.5,1.0]"], "has another placement"),
        (["peft.parts.adapter.dropout=0.0"], "has another peft"),
    ):
        with pytest.raises(peftlab.UserError, match=sentence):
            go(tmp_path / "other", composed(*TINY, own, *words))
    with pytest.raises(peftlab.UserError, match="has another placement"):
        go(tmp_path / "other", composed(*TINY, f"placement.run={folder}"))


def test_scores_of_another_supernet_are_not_taken_for_this_one_s(
    finished: tuple[Path, dict[str, Any]], composed: Config, tmp_path: Path
) -> None:
    folder, _ = finished
    record = Record(tmp_path, {}, {})
    assert record.fail("it is a run's folder")
    record.release()
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "evaluated.jsonl").write_text('{"supernet": "other", "split": "other"}\n')
    with pytest.raises(
        peftlab.UserError, match=r"is of another supernet or other items.* legal: resume=false"
    ):
        go(tmp_path, composed(*TINY, f"placement.run={folder / 'supernet'}"))


def test_resume_false_starts_over(
    finished: tuple[Path, dict[str, Any]], composed: Config, tmp_path: Path
) -> None:
    folder, _ = finished
    copy = Path(shutil.copytree(folder, tmp_path / "run"))
    (copy / "search" / "notes.md").touch()
    assert not Record(copy, {}, {}).take(resume=False)
    assert [str(path.relative_to(copy)) for path in copy.rglob("*")] == ["search", "search/notes.md"]


def test_an_interrupted_supernet_leaves_the_run_interrupted(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(*TINY)
    record = Record(tmp_path, {}, config)

    def stopped(*_: Any) -> None:
        raise SystemExit(130)

    monkeypatch.setattr(stages, "run", stopped)
    with pytest.raises(SystemExit):
        stages.run_found(resolve(config), record, None)
    assert record.read("status.json")["state"] == "interrupted"


def test_a_supernet_that_fails_says_so_in_its_own_folder(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(*TINY)

    def broken(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(stages, "run", broken)
    with pytest.raises(MemoryError):
        stages.run_found(resolve(config), Record(tmp_path, {}, config), None)
    status = json.loads((tmp_path / "supernet" / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", "no room")


def test_other_placements_stay_as_they_are(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = resolve(composed("backbone=tiny"))
    record, seen = Record(tmp_path, {}, resolved.raw), []
    monkeypatch.setattr(stages, "run", lambda *given: seen.append(given))
    stages.run_found(resolved, record, "group")
    assert seen == [(resolved, record, "group")]
    assert seen[0][0] is resolved
