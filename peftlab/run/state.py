"""The state of one run between its steps."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from peftlab.build.experiment import Experiment
from peftlab.config.file import FILE, config_text
from peftlab.config.identity import Identity
from peftlab.config.name import config_hash
from peftlab.config.summary import num_trained
from peftlab.dataset.split import Split
from peftlab.figure.gamma import drawn_gamma
from peftlab.network.cell import Widths
from peftlab.record.checkpoint import load_last, save_last
from peftlab.record.record import Record
from peftlab.record.rows import Mark, check_rows
from peftlab.run import mirror
from peftlab.run.heartbeat import Heartbeat
from peftlab.run.placement import placement_text
from peftlab.run.sites import gammas
from peftlab.task.task import Outputs
from peftlab.tracker.tracker import Opening, Safe, Tracker


class Run:
    """What the record, the tracker and the checkpoint share."""

    def __init__(self, experiment: Experiment, record: Record, group: str | None) -> None:
        self.experiment, self.record, self.group = experiment, record, group
        self.identity = {
            "config": config_hash(experiment.resolved.raw),
            "data split": experiment.trunk.dataset.index_hash,
            "backbone": experiment.trunk.backbone.hash,
        }
        self.run_id = run_id(self.identity)
        self.num_parameters = {
            **experiment.cell.num_parameters(),
            "backbone": experiment.trunk.backbone.num_weights,
        }
        self.flat = {**record.flat, "num_parameters": num_trained(self.num_parameters)}
        if self.flat.get("rank") is not None:  # a budget or cells may have given others than the config says
            widths = {anchor.delta.width for anchor in experiment.cell.anchors}
            self.flat["rank"] = widths.pop() if len(widths) == 1 else None
        self.tracker: Tracker = Safe(experiment.resolved.tracker, experiment.resolved.tracker.word)
        self.lines = mirror.lines(experiment.cell.gamma.names)
        self.best: dict[str, Any] | None = None
        self.last: dict[str, float] = {}  # metrics of the last validation
        self.opened_s = record.wall_s  # when the run was ready for its first step
        self.step_times: list[float] = []  # seconds, of the steps of this process
        self.heartbeat = Heartbeat(record, experiment.schedule, experiment.task.primary)

    @property
    def inputs(self) -> dict[str, str]:
        """The sha256 of what the files and folders hold that the config points to, by key, as `dataset.path`."""
        saved = {} if self.record.identity is None else self.record.identity.saved["inputs"]
        return {key: content["sha256"] for key, content in saved.items()}

    @property
    def device(self) -> torch.device:
        """Where the run computes."""
        return self.experiment.trunk.device

    def open(self) -> int | None:
        """Take the folder, write what is known before training, start the tracker, and return the step to start at.

        None if another process has finished the run meanwhile. Nothing is written before all that lies there is read.

        Raises:
            UserError: if the folder is another one's, or what lies there cannot be gone on from.
        """
        experiment, record = self.experiment, self.record
        data, raw = experiment.trunk.dataset, experiment.resolved.raw
        record.identity = record.identity or Identity(raw)
        if record.take(experiment.resolved.root.resume):
            return None
        start, rows = self._resume()
        record.status("running")  # the first byte: it marks the folder as a run's
        record.rewind(rows)
        record.write_text(FILE, config_text(raw))
        audit = experiment.trunk.overlap.saved
        record.write("split.json", {"hash": data.index_hash, "audit": audit, **data.index})
        if experiment.placed.scores:
            record.write_text(
                "placement.csv", placement_text(experiment.placed.scores, experiment.placed.sites)
            )
        self.tracker.start(self._opening())
        self.opened_s = record.wall_s
        return start

    def log(self, step: int, row: dict[str, float]) -> None:
        """One row to metrics.jsonl, which is the record, and to the tracker, which mirrors it."""
        self.record.append({"step": step, **row})
        self.tracker.log(mirror.scalars(row, self.lines), step=step)

    def epoch(self, step: int) -> dict[str, float]:
        """The axis of whatever is logged after a step."""
        return {"epoch": step / self.experiment.schedule.per_epoch}

    def show_gamma(self, step: int) -> None:
        """A picture of all gammas to the tracker, a few times in a run that trains them."""
        experiment = self.experiment
        if experiment.cell.gamma.raw is None or not mirror.maps(step, experiment.schedule.num_steps):
            return
        found, labels = gammas(experiment.cell), experiment.trunk.backbone.labels
        self.tracker.image("gamma_map", drawn_gamma(found, labels, f"gamma after step {step}"), step=step)

    def save(self, step: int) -> None:
        """Write last/."""
        state = {"learner": self.experiment.learner.state(), "best": self.best}
        save_last(self.record.folder, self.identity, step, self.record.mark(), state)

    def validate(self, step: int, answers: Outputs | None = None) -> None:
        """Metrics on the validation split; the best weights are kept if they are to be selected.

        `answers` are the outputs for one pass over the split, where they are known.
        """
        experiment = self.experiment
        val = experiment.trunk.dataset.val
        if val is None:
            return
        with experiment.learner.evaluated():
            metrics = experiment.task.metrics(self.count(val, answers=answers))
            self.log(step, self.epoch(step) | {f"val/{key}": value for key, value in metrics.items()})
            self.last = metrics
            score = metrics[experiment.task.primary]
            if experiment.resolved.fit.select == "best" and (self.best is None or score > self.best["score"]):
                cell = {name: value.cpu().clone() for name, value in experiment.cell.state().items()}
                self.best = {"score": score, "step": step, "cell": cell, "metrics": metrics}

    def count(
        self,
        split: Split,
        widths: Widths | None = None,
        answers: Outputs | None = None,
        *,
        is_test: bool = False,
    ) -> Any:
        """What the task counts on a split; `widths` is the sub-network that works, by default all of it."""
        experiment, cell = self.experiment, self.experiment.cell
        outputs = experiment.outputs(is_test=is_test, widths=widths, split=split)
        training = cell.training
        cell.eval()
        counted = experiment.evaluate(answers or outputs, experiment.trunk.batches(split))
        cell.train(training)
        return counted

    def show_tested(self, result: Mapping[str, Any]) -> None:
        """The headline of the test split to the tracker, at the step that made the tested weights."""
        diverged, best = result["diverged_at"], self.best
        step = self.experiment.schedule.num_steps if diverged is None else diverged - 1
        step = step if best is None else best["step"]
        self.tracker.log(self.epoch(step) | mirror.tested(result), step=step)

    @property
    def validated(self) -> dict[str, float]:
        """Metrics on validation of the weights that are tested, as far as this process knows them."""
        return self.last if self.best is None else self.best.get("metrics", {})

    def _opening(self) -> Opening:
        experiment, record = self.experiment, self.record
        resolved = experiment.resolved
        more = {"run_id": self.run_id, "identity": self.identity, "choices": record.choices}
        more["audit"] = experiment.trunk.overlap.saved
        return Opening(
            run_id=self.run_id,
            name=run_title(record.folder, self.group, resolved.seed),
            group=self.group,
            kind="supernet" if resolved.is_supernet else "run",
            tags=mirror.tags(self.flat, record.choices),
            config=mirror.config(self.flat, resolved.raw, more),
            folder=record.folder,
            series=mirror.series(experiment.task.headline),
        )

    def _resume(self) -> tuple[int, Mark | None]:
        state = load_last(self.record.folder, self.identity)
        if state is None:
            return 0, None
        check_rows(self.record.folder, state["rows"])
        self.experiment.learner.load_state(state["learner"])
        self.best = state["best"]
        return int(state["step"]), state["rows"]


def run_id(identity: dict[str, str]) -> str:
    """Sixteen hex digits of the hash of the config, the data split and the backbone."""
    return hashlib.sha256("/".join(identity[key] for key in sorted(identity)).encode()).hexdigest()[:16]


def run_title(folder: Path, group: str | None, seed: int) -> str:
    """What a tracker calls the run: its folder, in a sweep its cell and its seed."""
    if group is None:
        return folder.name
    words = re.sub(r"-[0-9a-f]{8}$", "", folder.name).split("_")
    return "_".join([*(word for word in words if word != f"seed-{seed}"), f"s{seed}"])
