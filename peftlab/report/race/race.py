"""A race over the jobs of a sweep: what is in it still, what was decided at each rung, and what it cost. race.json has all of it.

What is decided is a function of the curves, and is written before anybody acts on it: a race that is started again takes the
same decisions.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.record.json_file import json_text, read_json
from peftlab.record.status import DONE, STOPPED, read_status, stopped_after
from peftlab.record.whole_file import write_whole
from peftlab.report.cell import Bounds, Cell, varying
from peftlab.report.race.curve import curve, trained, validated
from peftlab.report.race.policy import Policy, judge

FILE = "race.json"
FORMAT = 1
Status = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A job of the race: its choices without the seed, the epochs of its plan and those between two validations."""

    choices: dict[str, str]
    seed: int
    epochs: int
    every: int
    folder: Path


class Race:
    """The jobs of a sweep in `folder`; a cell is the jobs that differ in their seed only."""

    def __init__(
        self, folder: Path, policy: Policy, entries: Sequence[Entry], *, resume: bool = True
    ) -> None:
        self.folder, self.policy, self.entries = folder, policy, entries
        own: dict[str, Any] = {
            "format": FORMAT,
            "policy": {**asdict(policy), "rungs": [*policy.rungs]},
            "jobs": sorted(entry.folder.name for entry in entries),
        }
        saved = read_json(folder / FILE) if resume else {}
        is_ours = {key: saved.get(key) for key in own} == own
        self._own = own
        self.rungs: list[dict[str, Any]] = (
            saved["rungs"] if is_ours and isinstance(saved.get("rungs"), list) else []
        )

    @cached_property
    def names(self) -> list[str]:
        """What each entry's cell is called, by the choices that vary."""
        cells = [Cell(entry.choices, []) for entry in self.entries]
        keys = varying(cells)
        return [cell.label(keys) or "the only cell" for cell in cells]

    @property
    def stopped(self) -> dict[str, str]:
        """Cell -> why it is out."""
        return {
            name: said["stops"]
            for rung in self.rungs
            for name, said in rung["cells"].items()
            if said["stops"] is not None
        }

    def epoch(self, place: int, rung: int) -> int | None:
        """The epoch of an entry at a rung; None at the end of its plan."""
        entry = self.entries[place]
        return self.policy.epochs(rung, entry.epochs, entry.every)

    def round(self, rung: int) -> list[int]:
        """The places of the entries that train up to a rung now: none if that was decided before."""
        left = [place for place, name in enumerate(self.names) if name not in self.stopped]
        if rung == len(self.policy.rungs):
            return left
        is_race = len({self.names[place] for place in left}) > 1 and self._is_real(rung)
        return left if is_race and rung >= len(self.rungs) else []

    def cut_off(self, places: Sequence[int], rung: int) -> list[int]:
        """Those of these entries that did not get to a rung and say nothing of their cells: somebody else has ended them, the
        machine has failed them, or they did not begin."""
        return self._cut_off({place: read_status(self.entries[place].folder) for place in places}, rung)

    def _cut_off(self, known: dict[int, Status], rung: int) -> list[int]:
        return [place for place, status in known.items() if _is_cut_off(status, self.epoch(place, rung))]

    def decide(self, rung: int) -> list[int]:
        """Judge the cells at a rung, once, and write it down. One whose jobs are not there (they failed) is not judged.

        Nothing is decided if some are cut off, as by somebody else who goes on with them meanwhile: their places are given back.

        Raises:
            UserError: if no job has the metric.
        """
        if rung < len(self.rungs) or rung >= len(self.policy.rungs):
            return []
        known = {place: read_status(self.entries[place].folder) for place in self.round(rung)}
        if cut_off := self._cut_off(known, rung):
            return cut_off
        found = judge(self.policy, self._values(rung, known))
        cells = {
            name: {"mean": said.mean, "difference": list(said.difference), "stops": said.stops}
            for name, said in found.items()
        }
        self.rungs.append({"share": self.policy.rungs[rung], "cells": cells})
        self.save()
        return []

    def save(self, **more: Any) -> None:
        """race.json, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / FILE, json_text({**self._own, "rungs": self.rungs, **more}, indent=1))

    def cost(self) -> tuple[float, float]:
        """Epochs that the jobs have trained, and those of the whole grid."""
        done = sum(trained(entry.folder) for entry in self.entries)
        return done, float(sum(entry.epochs for entry in self.entries))

    def last(self, place: int) -> Bounds | None:
        """An entry on validation at the last epoch that it has."""
        found = curve(self.entries[place].folder, self.policy.metric)
        return found[max(found)] if found else None

    def _is_real(self, rung: int) -> bool:
        """Whether it is before the end of some job, and beyond the rung before."""
        return any(
            epoch is not None and (rung == 0 or epoch != self.epoch(place, rung - 1))
            for place in range(len(self.entries))
            for epoch in [self.epoch(place, rung)]
        )

    def _values(self, rung: int, known: dict[int, Status]) -> dict[str, dict[int, Bounds]]:
        found: dict[str, dict[int, Bounds]] = {}
        for place, status in known.items():
            entry, epoch = self.entries[place], self.epoch(place, rung) or self.entries[place].epochs
            value = curve(entry.folder, self.policy.metric).get(epoch)
            if value is not None and _is_there(status, epoch):
                found.setdefault(self.names[place], {})[entry.seed] = value
        if not known:
            return found
        if not found and (there := sorted({name for e in self.entries for name in validated(e.folder)})):
            raise UserError(
                f"hydra.sweeper.metric={self.policy.metric} is not measured; legal: {', '.join(there)}"
            )
        if not found and any(_is_there(read_status(entry.folder), 1) for entry in self.entries):
            raise no_validation("null or 0")
        return found


def _is_cut_off(status: Status, epoch: int | None) -> bool:
    if status.get("state") == "failed":
        return status.get("of_machine") is True
    if status.get("state") == STOPPED:
        return epoch is None or (stopped_after(status) or 0) < epoch
    return status.get("state") not in DONE


def _is_there(status: Status, epoch: int) -> bool:
    """Whether a job has trained up to an epoch: it is finished, or stopped there or later."""
    return status.get("state") in DONE[:1] or (stopped_after(status) or 0) >= epoch


def no_validation(fraction: object) -> UserError:
    """The refusal of a race without items to compare on."""
    return UserError(
        f"dataset.val_fraction={fraction} leaves a race no items to compare cells on; legal: above 0, as in 0.2, or a data set"
        " with a validation split"
    )
