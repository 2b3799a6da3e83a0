"""The state of one run between its steps."""

import hashlib
from typing import Any

from peftlab.build.build import build, make_tracker
from peftlab.config.file import config_text
from peftlab.config.name import config_hash
from peftlab.dataset.loader import EvalBatches
from peftlab.dataset.split import Split
from peftlab.evaluate.evaluate import evaluate
from peftlab.evaluate.metrics import Counts, group_metrics
from peftlab.fit.fit import autocast
from peftlab.record.checkpoint import load_last, save_last, saved_masks
from peftlab.record.placement import placement_text
from peftlab.record.record import Record


class Run:
    """What the record, the tracker and the checkpoint share."""

    def __init__(self, config: dict[str, Any], record: Record, group: str | None) -> None:
        self.record, self.config = record, config
        self.experiment = build(config, saved_masks(record.folder))
        self.context = autocast(self.experiment.plan, self.experiment.device)
        self.identity = {
            "config": config_hash(record.config),
            "data split": self.experiment.dataset.index_hash,
            "backbone": self.experiment.backbone.hash,
        }
        self.run_id = run_id(self.identity)
        self.tracker = make_tracker(config)
        self.best: dict[str, Any] | None = None
        self.stop = False
        self.step_times: list[float] = []  # seconds, of the steps of this process
        self.group = group

    def open(self) -> int:
        """Write what is known before training, start the tracker, and return the step to start at."""
        experiment, record = self.experiment, self.record
        record.write_text("config.yaml", config_text(self.config))
        record.write("split.json", {"hash": experiment.dataset.index_hash, **experiment.dataset.index})
        if experiment.scores:
            record.write_text("placement.csv", placement_text(experiment.scores, experiment.placed))
        start, self.best = load_last(record.folder, experiment, self.identity)
        record.rewind(start)
        self.tracker.start(
            run_id=self.run_id,
            name=f"{record.folder.name.rpartition('-')[0]}-s{self.config['seed']}"
            if self.group
            else record.folder.name,
            group=self.group,
            tags=[str(self.config["dataset"]["name"]), self.config["scaling"]["_target_"].rpartition(".")[2]],
            config={
                **self.config,
                "run_id": self.run_id,
                "identity": self.identity,
                "choices": record.choices,
            },
            folder=record.folder,
        )
        return start

    def log(self, step: int, row: dict[str, float]) -> None:
        """One row to metrics.jsonl, which is the record, and to the tracker, which mirrors it without the values per site."""
        self.record.append({"step": step, **row})
        self.tracker.log({key: value for key, value in row.items() if key.count("/") < 2}, step=step)

    def save(self, step: int) -> None:
        """Write last/."""
        save_last(self.record.folder, self.experiment, self.identity, step, self.best)

    def validate(self, step: int) -> None:
        """Metrics on the validation split; the best weights are kept if they are to be selected."""
        experiment = self.experiment
        if experiment.dataset.val is None:
            return
        metrics = self.metrics("val", self.count(experiment.dataset.val))
        self.log(step, metrics)
        score = metrics["val/mean_acc"]
        if experiment.plan.select == "best" and (self.best is None or score > self.best["score"]):
            model = experiment.model
            theta = {name: value.detach().cpu().clone() for name, value in model.theta().items()}
            gamma = None if model.gamma.raw is None else model.gamma.raw.detach().cpu().clone()
            self.best = {"score": score, "step": step, "theta": theta, "gamma": gamma}

    def count(self, split: Split) -> Counts:
        """Right and wrong answers on a split."""
        experiment, dataset = self.experiment, self.experiment.dataset
        batches = EvalBatches(
            split,
            dataset.eval_transform,
            batch_size=experiment.plan.eval_batch_size,
            num_workers=dataset.num_workers,
        )
        return evaluate(experiment.model, batches, len(dataset.class_names), experiment.device, self.context)

    def metrics(self, split: str, counts: Counts) -> dict[str, float]:
        """`split/metric` -> value."""
        values = group_metrics(counts, self.experiment.dataset.groups)
        return {f"{split}/{key}": value for key, value in values.items()}


def run_id(identity: dict[str, str]) -> str:
    """Sixteen hex digits of the hash of the config, the data split and the backbone."""
    return hashlib.sha256("/".join(identity[key] for key in sorted(identity)).encode()).hexdigest()[:16]
