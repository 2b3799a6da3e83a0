"""The state of one run between its steps."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from peftlab.build.experiment import Experiment
from peftlab.config.file import FILE, config_text
from peftlab.config.identity import Identity
from peftlab.config.name import config_hash
from peftlab.config.summary import num_trained
from peftlab.dataset.split import Split
from peftlab.network.cell import Widths
from peftlab.record.checkpoint import load_last, save_last
from peftlab.record.placement import placement_text
from peftlab.record.record import Record
from peftlab.tracker.tracker import Tracker


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
        self.tracker: Tracker = experiment.resolved.tracker()
        self.best: dict[str, Any] | None = None
        self.stop = False
        self.step_times: list[float] = []  # seconds, of the steps of this process

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
        start = self._resume()
        record.status("running")
        record.write_text(FILE, config_text(raw))
        record.write("split.json", {"hash": data.index_hash, **data.index})
        if experiment.placed.scores:
            record.write_text(
                "placement.csv", placement_text(experiment.placed.scores, experiment.placed.sites)
            )
        self.tracker.start(
            run_id=self.run_id,
            name=run_title(record.folder, self.group, experiment.resolved.seed),
            group=self.group,
            tags=[data.name, experiment.resolved.scaling.word],
            config={**raw, "run_id": self.run_id, "identity": self.identity, "choices": record.choices},
            folder=record.folder,
        )
        return start

    def log(self, step: int, row: dict[str, float]) -> None:
        """One row to metrics.jsonl, which is the record, and to the tracker, which mirrors it without the values per site."""
        self.record.append({"step": step, **row})
        self.tracker.log({key: value for key, value in row.items() if key.count("/") < 2}, step=step)

    def save(self, step: int) -> None:
        """Write last/."""
        state = {"learner": self.experiment.learner.state(), "best": self.best}
        save_last(self.record.folder, self.identity, step, self.record.mark(), state)

    def validate(self, step: int) -> None:
        """Metrics on the validation split; the best weights are kept if they are to be selected."""
        experiment = self.experiment
        val = experiment.trunk.dataset.val
        if val is None:
            return
        metrics = experiment.task.metrics(self.count(val))
        self.log(step, {f"val/{key}": value for key, value in metrics.items()})
        score = metrics[experiment.task.primary]
        if experiment.resolved.fit.select == "best" and (self.best is None or score > self.best["score"]):
            cell = {name: value.cpu().clone() for name, value in experiment.cell.state().items()}
            self.best = {"score": score, "step": step, "cell": cell}

    def count(self, split: Split, widths: Widths | None = None) -> Any:
        """What the task counts on a split; `widths` is the sub-network that works, by default all of it."""
        experiment, cell = self.experiment, self.experiment.cell

        def outputs(inputs: dict[str, Tensor]) -> Tensor:
            return experiment.network.outputs([cell], inputs, [{"widths": widths or {}}])[0]

        training = cell.training
        cell.eval()
        counted = experiment.evaluate(outputs, experiment.trunk.batches(split))
        cell.train(training)
        return counted

    def _resume(self) -> int:
        state = load_last(self.record.folder, self.identity)
        self.record.rewind(None if state is None else state["rows"])
        if state is None:
            return 0
        self.experiment.learner.load_state(state["learner"])
        self.best = state["best"]
        return int(state["step"])


def run_id(identity: dict[str, str]) -> str:
    """Sixteen hex digits of the hash of the config, the data split and the backbone."""
    return hashlib.sha256("/".join(identity[key] for key in sorted(identity)).encode()).hexdigest()[:16]


def run_title(folder: Path, group: str | None, seed: int) -> str:
    """What a tracker calls the run: its folder, in a sweep without the hash and with the seed."""
    return f"{folder.name.rpartition('-')[0]}-s{seed}" if group else folder.name
