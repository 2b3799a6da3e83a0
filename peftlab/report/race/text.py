"""race.md: what a race cost, what it chose on validation, and what it did not look at."""

from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from peftlab.record.json_file import read_json
from peftlab.record.status import read_status
from peftlab.record.whole_file import renew
from peftlab.report.job import number
from peftlab.report.metric import Metric, headline
from peftlab.report.race.curve import trained
from peftlab.report.race.race import Race

FILE = "race.md"


def write_race(race: Race) -> tuple[Path, list[str]]:
    """race.md, and the outcome in race.json; gives the file and the lines that are for the terminal, too."""
    done, whole = race.cost()
    chosen = winner(race)
    lines = [_cost(race, done, whole), _winner(race, chosen), *_rungs(race)]
    unseen = _unseen(race)
    race.save(outcome={"epochs": done, "epochs_of_grid": whole, "winner": chosen, "not_looked_at": unseen})
    text = ["# Race", "", *(f"{line}\n" for line in lines), "## Not looked at", "", *_table(race, unseen)]
    return renew(race.folder / FILE, "\n".join(text).rstrip() + "\n"), [*lines, _left(unseen, done, whole)]


def winner(race: Race) -> str | None:
    """The cell with the highest mean on validation among those whose every run came to its end."""
    ends: dict[str, list[float]] = {}
    for place, name in enumerate(race.names):
        value = _final(race, place)
        ends.setdefault(name, []).append(float("nan") if value is None else value)
    whole = {name: fmean(values) for name, values in ends.items() if all(map(isfinite, values))}
    return max(whole, key=lambda name: whole[name]) if whole else None


def _final(race: Race, place: int) -> float | None:
    """Of a finished run, validation of the weights that were tested."""
    folder, key = race.entries[place].folder, f"val/{race.policy.metric}"
    if read_status(folder).get("state") != "ok":
        return None
    selected = read_json(folder / "result.json").get("selected")
    best = number(selected.get(key)) if isinstance(selected, dict) else float("nan")
    last = race.last(place)
    return best if isfinite(best) else None if last is None else last[0]


def _cost(race: Race, done: float, whole: float) -> str:
    share = f"{done:.0f} of {whole:.0f} epochs of the grid ({done / max(1.0, whole):.2f} of its cost)"
    return f"race: {share}; {len(race.stopped)} of {len(set(race.names))} cells stopped before their end"


def _winner(race: Race, chosen: str | None) -> str:
    if chosen is None:
        return "winner: none yet, no cell has all its runs at their end"
    results = [
        read_json(race.entries[place].folder / "result.json")
        for place, name in enumerate(race.names)
        if name == chosen
    ]
    told = ", ".join(mean_text(metric, results) for metric in headline(results))
    return f"winner on validation ({race.policy.metric}): {chosen}; test: {told} (n = {len(results)})"


def mean_text(metric: Metric, results: list[dict[str, Any]]) -> str:
    """The mean of a metric of the test split over these result.json, with its name."""
    values = [number(result.get("metrics", {}).get(f"test/{metric.name}")) for result in results]
    return f"{metric.label} {metric.text(fmean(values))}{metric.unit and ' ' + metric.unit}"


def _rungs(race: Race) -> list[str]:
    lines = []
    for rung in race.rungs:
        cells = rung["cells"]
        out = [said["stops"] for said in cells.values() if said["stops"] is not None]
        why = ", ".join(f"{out.count(reason)} {reason}" for reason in dict.fromkeys(out))
        lines.append(
            f"rung {rung['share']:g}: {len(cells)} cells, {len(out)} stopped" + (f" ({why})" if why else "")
        )
    return lines


def _unseen(race: Race) -> dict[str, float]:
    """The cells that stopped, with the epochs that they did not train."""
    found: dict[str, float] = {}
    for name, entry in zip(race.names, race.entries, strict=True):
        if name in race.stopped:
            found[name] = found.get(name, 0.0) + max(0.0, entry.epochs - trained(entry.folder))
    return found


def _left(unseen: dict[str, float], done: float, whole: float) -> str:
    return (
        f"not looked at: the test split of {len(unseen)} cells, and {sum(unseen.values()):.0f} epochs of their training;"
        " a plain sweep into the same folder goes on with them"
    )


def _table(race: Race, unseen: dict[str, float]) -> list[str]:
    last = {
        name: (rung["share"], said)
        for rung in race.rungs
        for name, said in rung["cells"].items()
        if said["stops"]
    }
    lines = [
        f"| cell | stopped at | val/{race.policy.metric} | to the best, 95 % | why | epochs not trained |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, epochs in unseen.items():
        share, said = last[name]
        ends = [number(value) for value in said["difference"]]
        between = f"{ends[0]:+.3f}" + (f" ({ends[1]:+.3f} to {ends[2]:+.3f})" if isfinite(ends[1]) else "")
        lines.append(
            f"| {name} | {share:g} | {said['mean']:.3f} | {between} | {said['stops']} | {epochs:.0f} |"
        )
    return lines if unseen else ["Nothing: every cell came to its end."]
