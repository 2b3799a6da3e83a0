"""A saved workspace of W&B for a placement grid: `python scripts/wandb_workspace.py ENTITY`, or `--print` without an account.

It needs the package wandb-workspaces. Every key that a panel names is one that runs and reports of sweeps log (docs/wandb.md).
"""

import argparse
import json
from typing import Any

from peftlab.errors import FAILED, stop
from peftlab.tracker.login import has_login, server
from peftlab.tracker.tracker import one_line

NAME = "placement grid"
TAIL = "test/tail_acc"
POSITIONS = ("q", "k", "v", "out", "mlp1", "mlp2")  # of experiment=placement_grid
CELL = ("depth", "position")
COLUMNS = ("depth", "position", "alpha", "rank")  # of the parallel coordinates, before the tail
CURVES = ("val/tail_acc", "val/mean_acc")
PICTURES = ("sweep/heatmap", "sweep/heatmap-difference", "sweep/scatter")
TABLES = ("sweep/cells", "sweep/best", "sweep/jobs")
PAGE = "sweep/page"


def gamma_of(position: str) -> str:
    """The regular expression of the gammas at one position, over all blocks."""
    return rf"^gamma/.*\.{position}$"


def sections() -> list[Any]:
    """The sections of the workspace, from the grid to the report of its sweep."""
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as workspaces

    def section(name: str, *shown: Any) -> Any:
        return workspaces.Section(name=name, panels=list(shown), is_open=True)

    bars = [
        panels.BarPlot(
            title=f"{TAIL} by {key}",
            metrics=[TAIL],
            groupby=panels.Config(key),
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
        )
        for key in CELL
    ]
    columns = [panels.ParallelCoordinatesPlotColumn(metric=panels.Config(key)) for key in COLUMNS]
    columns.append(panels.ParallelCoordinatesPlotColumn(metric=panels.SummaryMetric(TAIL)))
    scatter = panels.ScatterPlot(
        title="tail against trained parameters",
        x=panels.Config("num_parameters"),
        y=panels.SummaryMetric(TAIL),
        log_x=True,
    )
    curves = [
        panels.LinePlot(
            title=f"{key} by position",
            x="epoch",
            y=[key],
            groupby=panels.Config("position"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
        )
        for key in CURVES
    ]
    gammas = [
        panels.LinePlot(title=f"gamma at {position}", x="epoch", metric_regex=gamma_of(position))
        for position in POSITIONS
    ]
    return [
        section("The grid", *bars, panels.ParallelCoordinatesPlot(columns=columns), scatter),
        section("Training", *curves),
        section("Gamma", panels.MediaBrowser(title="gamma_map", media_keys=["gamma_map"]), *gammas),
        section(
            "The report of the sweep",
            panels.MediaBrowser(title="page", media_keys=[PAGE], num_columns=1),
            *(panels.MediaBrowser(title=key, media_keys=[key]) for key in PICTURES),
            *(panels.WeavePanelSummaryTable(table_name=key) for key in TABLES),
        ),
    ]


def workspace(entity: str, project: str) -> Any:
    """The workspace, which is nowhere yet."""
    import wandb_workspaces.workspaces as workspaces

    shown = [*(f"config:{key}.value" for key in (*COLUMNS, "seed")), f"summary:{TAIL}"]
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=sections(),
        runset_settings=workspaces.RunsetSettings(pinned_columns=shown),
    )


def main() -> None:
    """Save the workspace, or print what would be saved."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entity", nargs="?", help="user or team of W&B that the project belongs to")
    parser.add_argument("--project", default="peftlab", help="the tracker.project of the runs")
    parser.add_argument("--print", action="store_true", help="print it as JSON, and send nothing")
    given = parser.parse_args()
    if not given.print and given.entity is None:
        stop("ENTITY is missing; legal: the user or team of W&B that the project belongs to, or --print")
    if not given.print and not has_login():
        stop(f"there is no login for {server()} here; legal: after `wandb login`, or with --print")
    try:
        made = workspace(given.entity or "ENTITY", given.project)
    except ImportError as error:
        stop(f"{error}; legal: after pip install wandb-workspaces")
    if given.print:
        print(
            json.dumps(made._to_model().model_dump(mode="json", by_alias=True, exclude_none=True), indent=1)
        )
        return
    try:
        made.save()
    except Exception as error:
        stop(
            f"{server()} did not take it ({one_line(error)}); legal: with a network, and an ENTITY/PROJECT that has runs",
            FAILED,
        )
    print(made.url)


if __name__ == "__main__":
    main()
