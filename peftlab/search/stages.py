"""The stages of placement=noah: train a supernet, search it, and train what was found. Other placements are one run."""

import time
from pathlib import Path
from typing import Any

from peftlab.build.experiment import Experiment, build
from peftlab.build.supernet import space_of
from peftlab.config.file import read_config
from peftlab.config.identity import Identity
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.config.signature import yaml_text
from peftlab.config.summary import summary
from peftlab.errors import UserError
from peftlab.model.load import load
from peftlab.placement.space import Genotype, Space
from peftlab.record.adapter import WEIGHTS
from peftlab.record.content import file_sha256
from peftlab.record.finished import finished_run
from peftlab.record.json_file import read_json
from peftlab.record.machine import is_of_machine
from peftlab.record.record import Record
from peftlab.record.status import read_status
from peftlab.record.whole import check_whole
from peftlab.run.run import run
from peftlab.run.show import console, show_line
from peftlab.search.evolution import Evolution, Scores, best, search
from peftlab.search.file import FOUND, read_found, read_scores, write_found, write_scores

SUPERNET = "supernet"
TARGET = "peftlab.placement.supernet.supernet"
SAME = ("backbone", "peft", "placement", "scaling")  # what a supernet of another run must have in common
MAX_KEPT = 2048  # validation items that are kept in memory as the network reads them


def run_found(resolved: Resolved, record: Record, group: str | None, **more: Any) -> None:
    """A run, before which placement=noah finds its sites. `more` is what else `run` takes.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
        UserError: without validation items, for a limit below the smallest sub-network, or a supernet that does not fit.
    """
    if resolved.placement.word == "noah":
        placement = _found(resolved, record)
        if placement is None:
            return
        resolved = resolve({**resolved.raw, "placement": placement})
    run(resolved, record, group, **more)


def supernet_of(resolved: Resolved) -> Resolved:
    """The run of the first stage."""
    raw, node = resolved.raw, resolved.placement.options
    placement = {"_target_": TARGET, "widths": node["widths"], "depths": node["depths"], "budget": None}
    supernet = {
        **raw,
        "placement": placement,
        "fit": {**raw["fit"], "stop_after": None},
    }  # it is searched whole
    for group, key, own in (("fit", "epochs", "epochs"), ("optim", "lr", "lr")):
        if node[own] is not None:
            supernet[group] = {**supernet[group], key: node[own]}
    return resolve(supernet)


def _found(resolved: Resolved, record: Record) -> dict[str, Any] | None:
    """The placement that the search found; a finished stage is not repeated. None if another process finished the run."""
    resume, given = resolved.root.resume, resolved.placement.options["run"]
    if resume and (placement := read_found(record)) is not None:
        return placement
    supernet = supernet_of(resolved)
    experiment = build(supernet)
    _space(resolved, experiment)  # what the search will ask for, before the long training and the first byte
    folder = record.folder / SUPERNET if given is None else finished_run(given)
    if given is not None:
        _check_supernet(folder, supernet, experiment)
    record.identity = record.identity or Identity(resolved.raw)
    if record.take(resume):
        return None
    record.status("running")
    if given is None:
        _train(supernet, folder, record)
    _search(resolved, supernet, folder, record)
    return read_found(record)


def _train(supernet: Resolved, folder: Path, record: Record) -> None:
    own = Record(folder, {}, supernet.raw, flat=summary(supernet.raw, record.flat))
    own.identity = Identity(supernet.raw)
    try:
        if not own.look(resume=True):  # with resume=false it is gone already
            run(supernet, own, None)
    except SystemExit:
        record.interrupt()
        raise
    except Exception as error:
        own.fail(str(error), of_machine=is_of_machine(error))
        raise
    finally:
        own.release()


def _space(resolved: Resolved, experiment: Experiment) -> Space:
    """The sub-networks, and whether they can be searched."""
    node = resolved.placement.options
    if experiment.trunk.dataset.val is None:
        raise UserError(
            f"dataset.val_fraction={yaml_text(resolved.dataset.options['val_fraction'])} leaves placement=noah no items to"
            " search on; legal: above 0, as in 0.2, or a data set with a validation split"
        )
    deltas = {anchor.site: anchor.delta for anchor in experiment.cell.anchors}
    space = space_of(deltas, experiment.placed.parts, node)
    least = space.cost(space.smallest())
    if least > node["limit"]:
        raise UserError(
            f"placement.limit={node['limit']} is less than the {least} parameters of the smallest sub-network; legal: {least}"
            " or more"
        )
    return space


def _search(resolved: Resolved, supernet: Resolved, folder: Path, record: Record) -> None:
    """Write found.yaml; evaluated.jsonl holds every score so far, so that a search which was stopped repeats none."""
    experiment = build(supernet)
    space = _space(resolved, experiment)
    _check_supernet(folder, supernet, experiment)
    console.rule("search")
    fitness = _Fitness(folder, experiment, space, record)
    node, started = resolved.placement.options, time.monotonic()
    evolution = Evolution(**{key: node[key] for key in Evolution.__annotations__})
    scores: Scores = {}
    generations = search(space, fitness, evolution, limit=node["limit"], seed=resolved.seed)
    for number, scores in enumerate(generations):
        first = best(space, scores)[0]
        show_line(
            f"generation {number + 1} of {evolution.generations}",
            f"val/{experiment.task.primary} {scores[first]:.4f} with {space.cost(first):,} parameters, the best of"
            f" {len(scores)}",
        )
    first = best(space, scores)[0]
    write_found(record, space, first, scores[first], resolved.seed, experiment.task.primary)
    show_line("found", f"{record.folder / FOUND} in {time.monotonic() - started:.1f} s")


def _check_supernet(folder: Path, supernet: Resolved, experiment: Experiment) -> None:
    if read_status(folder).get("state") == "diverged":
        raise UserError(
            f"{folder}: the supernet diverged, so its sub-networks say nothing; legal: a smaller placement.lr"
        )
    theirs = read_config(folder)
    other = [key for key in SAME if theirs.get(key) != supernet.raw[key]]
    if other:
        raise UserError(
            f"placement.run={folder} has another {other[0]} than this run; legal: a supernet with the same one"
        )
    check_whole(folder, "split.json")
    if read_json(folder / "split.json").get("hash") != experiment.trunk.dataset.index_hash:
        raise UserError(
            f"placement.run={folder} was trained on other items, perhaps on those that validate here; legal: the same dataset"
            " and seed"
        )


class _Fitness:
    """The primary metric on the validation split, with the weights that a sub-network has in the supernet.

    What was scored before is not scored again: every score is written as soon as it is known.
    """

    def __init__(self, folder: Path, experiment: Experiment, space: Space, record: Record) -> None:
        data = experiment.trunk.dataset
        assert data.val is not None
        self._experiment, self._space, self._record = experiment, space, record
        self._model = load(folder, data.class_names, trust=experiment.resolved.root.trust).to(
            experiment.trunk.device
        )
        batches = experiment.trunk.batches(data.val)
        self._batches = batches.kept() if len(data.val) <= MAX_KEPT else batches
        digest = file_sha256(folder / WEIGHTS)
        self._identity = {"supernet": digest, "split": data.index_hash}
        self._known = read_scores(record, self._identity, experiment.task.primary)

    def __call__(self, genotype: Genotype) -> float:
        if genotype not in self._known:
            self._known[genotype] = self._measure(genotype)
            primary = self._experiment.task.primary
            write_scores(self._record, self._identity, self._known, self._space, primary)
        return self._known[genotype]

    def _measure(self, genotype: Genotype) -> float:
        task = self._experiment.task
        active = self._space.active(genotype)
        outputs = self._experiment.outputs(is_test=False, widths=active, model=self._model)
        return task.metrics(self._experiment.evaluate(outputs, self._batches))[task.primary]
