"""scripts/wandb_workspace.py: every key that a panel names is one that a run or the report of a sweep logs."""

import json
import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fixtures.scripts import script_of

pytest.importorskip("wandb_workspaces", reason="it is in the extra dev")
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")  # its own


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_of("wandb_workspace")


@pytest.fixture
def use(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """`use(WORDS)`: exit code, and what was said."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)

    def make(*words: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["wandb_workspace.py", *words])
        try:
            script.main()
            code = 0
        except SystemExit as end:
            code = end.code
        return SimpleNamespace(code=code, **capfd.readouterr()._asdict())

    return make


def panels(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The config of every panel, as W&B gets it."""
    for section in spec["spec"]["section"]["panelBankConfig"]["sections"]:
        for panel in section["panels"]:
            yield {"viewType": panel["viewType"], **panel["config"]}


def words_of(node: Any) -> Iterator[str]:
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from [value] if isinstance(value, str) else words_of(value)


def named(spec: dict[str, Any]) -> SimpleNamespace:
    """The keys that the panels and the columns name: of the config, of what is logged, and patterns of the latter."""
    found = SimpleNamespace(config=set(), logged=set(), patterns=set())
    (runs,) = spec["spec"]["section"]["runSets"]
    accessors = [key for key in runs["runFeed"]["columnPinned"] if key != "run:displayName"]
    for panel in panels(spec):
        accessors += [column["accessor"] for column in panel.get("columns", ())]
        accessors += [panel[key] for key in ("xAxis", "yAxis") if ":" in panel.get(key, "")]
        accessors += [f"config:{panel['groupBy']}"] if "groupBy" in panel else []
        found.logged |= {*panel.get("metrics", ()), *panel.get("mediaKeys", ())}
        found.logged |= {panel["xAxis"]} if panel["viewType"] == "Run History Line Plot" else set()
        found.logged |= {
            word for word in words_of(panel.get("panel2Config", {})) if word.startswith("sweep/")
        }
        found.patterns |= {panel["metricRegex"]} if "metricRegex" in panel else set()
    for accessor in accessors:
        kind, _, key = accessor.partition(":")
        assert (kind == "config") == key.endswith(".value"), accessor
        (found.config if kind == "config" else found.logged).add(key.removesuffix(".value"))
    return found


GRID = (
    *("-m", "backbone=tiny", "device=cpu", "fit.batch_size=64", "fit.epochs=2", "dataset.val_fraction=0.2"),
    *("scaling=meta", "scaling.outer.warmup=0", "scaling.outer.every=2", "tracker=trackio"),
    *("placement.depth=0,1", "placement.position=q,[q,k,v,out,mlp1,mlp2]"),
)


def test_every_key_is_logged(
    use: Any, call: Any, trackio_home: Any, read_trackio: Any, tmp_path: Any
) -> None:
    said = use("--print", "--project", "mine")
    assert (said.code, said.err) == (0, "")
    spec = json.loads(said.out)
    assert (spec["project"], spec["displayName"]) == ("mine", "placement grid")
    asked = named(spec)
    assert asked.config >= {"depth", "position", "alpha", "rank", "num_parameters"}
    assert asked.logged >= {
        "test/tail_acc",
        "val/tail_acc",
        "epoch",
        "gamma_map",
        "sweep/heatmap",
        "sweep/cells",
    }

    assert call(*GRID).code == 0
    runs = read_trackio(tmp_path / "outputs" / "trackio").values()
    assert {run.config["kind"] for run in runs} == {"run", "report"}
    logged = {key for run in runs for _, row in run.rows for key in row}
    page = {"sweep/page"}  # of the folder report/, which tests/report/test_live.py makes
    assert asked.logged - page <= logged
    assert all(asked.config <= run.config.keys() for run in runs)
    for pattern in asked.patterns:
        assert any(re.search(pattern, key) for key in logged), pattern
    assert len(asked.patterns) == 6


def test_the_page_is_the_one_that_a_report_sends(script: ModuleType) -> None:
    import inspect

    from peftlab.report.live import Live

    assert f'"{script.PAGE}"' in inspect.getsource(Live)


def test_what_is_needed_is_said_in_one_sentence(use: Any, monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert use().err == (
        "ENTITY is missing; legal: the user or team of W&B that the project belongs to, or --print\n"
    )
    said = use("me")
    assert (said.code, said.out) == (2, "")
    assert (
        said.err == "there is no login for api.wandb.ai here; legal: after `wandb login`, or with --print\n"
    )
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "wandb_workspaces", None)
        without.delitem(sys.modules, "wandb_workspaces.reports.v2", raising=False)
        without.delitem(sys.modules, "wandb_workspaces.workspaces", raising=False)
        said = use("--print")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.endswith("legal: after pip install wandb-workspaces\n")


def test_a_server_that_does_not_take_it_is_one_sentence(
    use: Any, script: ModuleType, monkeypatch: Any
) -> None:
    import wandb_workspaces.workspaces as workspaces

    def refuse(self: Any) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(script, "has_login", lambda: True)
    monkeypatch.setattr(workspaces.Workspace, "save", refuse)
    said = use("me")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "api.wandb.ai did not take it (ConnectionError: no route to host); legal: " in said.err
