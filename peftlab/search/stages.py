"""The first two stages of placement=noah: train a supernet, then search it. What is found is the placement of the third."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peftlab.build.build import Experiment, build
from peftlab.build.supernet import TARGET, space_of
from peftlab.config.check import check
from peftlab.config.file import read_config
from peftlab.config.signature import yaml_text
from peftlab.dataset.loader import EvalBatches
from peftlab.errors import UserError
from peftlab.evaluate.evaluate import evaluate
from peftlab.evaluate.metrics import group_metrics
from peftlab.fit.fit import autocast
from peftlab.model.load import WEIGHTS, load
from peftlab.placement.space import Genotype, Space
from peftlab.record.finished import finished_run
from peftlab.record.record import Record
from peftlab.record.status import read_status
from peftlab.run.show import console, show_line
from peftlab.search.evolution import Evolution, Scores, best, search
from peftlab.search.file import FOUND, read_found, read_scores, write_found, write_scores

NOAH, SUPERNET = "peftlab.placement.noah.noah", "supernet"
SAME = ("backbone", "peft", "placement", "scaling")  # what a supernet of another run must have in common
MAX_KEPT = 2048  # validation images that are kept in memory as the network reads them
Train = Callable[[dict[str, Any], Record, str | None], None]


def with_found_placement(config: dict[str, Any], record: Record, train: Train) -> dict[str, Any]:
    """The config whose placement are the cells that the search found; another placement stays as it is.

    `train` makes a whole run of a config in its own folder, here that of the supernet. A finished stage is not repeated.

    Raises:
        UserError: without validation images, for a limit below the smallest sub-network, or a supernet that does not fit.
        SystemExit: if the training of the supernet was interrupted.
    """
    if config["placement"]["_target_"] != NOAH:
        return config
    placement = read_found(record)
    if placement is None:
        supernet = supernet_config(config)
        if config["placement"]["run"] is None:
            folder = record.folder / SUPERNET
            _train(config, supernet, folder, record, train)
        else:
            folder = finished_run(config["placement"]["run"])
        _search(config, supernet, folder, record)
        placement = read_found(record)
    return {**config, "placement": placement}


def supernet_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the first stage."""
    node = config["placement"]
    placement = {
        "_target_": TARGET,
        "_partial_": True,
        **{key: node[key] for key in ("widths", "depths", "budget")},
    }
    supernet = {**config, "placement": placement}
    for group, key, own in (("fit", "epochs", "epochs"), ("optim", "lr", "lr")):
        if node[own] is not None:
            supernet[group] = {**config[group], key: node[own]}
    check(supernet)
    return supernet


def _train(
    config: dict[str, Any], supernet: dict[str, Any], folder: Path, record: Record, train: Train
) -> None:
    try:
        finished_run(str(folder))
    except UserError:
        _space(config, build(supernet))  # what the search will ask for, before the long training
    else:
        return
    own = Record(folder, {}, supernet)
    own.status("running")
    try:
        train(supernet, own, None)
    except SystemExit:
        record.status("interrupted")
        raise
    except Exception as error:
        own.fail(str(error))
        raise


def _space(config: Mapping[str, Any], experiment: Experiment) -> Space:
    """The sub-networks, and whether they can be searched."""
    node = config["placement"]
    if experiment.dataset.val is None:
        raise UserError(
            f"dataset.val_fraction={yaml_text(config['dataset']['val_fraction'])} leaves placement=noah no images to search on;"
            " legal: above 0, as in 0.2, or a data set with a validation split"
        )
    model = experiment.model
    space = space_of({site: model.delta_at(site) for site in model.sites}, experiment.placed, node)
    least = space.cost(space.smallest())
    if least > node["limit"]:
        raise UserError(
            f"placement.limit={node['limit']} is less than the {least} parameters of the smallest sub-network; legal: {least}"
            " or more"
        )
    return space


def _search(config: dict[str, Any], supernet: dict[str, Any], folder: Path, record: Record) -> None:
    """Write found.yaml; evaluated.jsonl holds every score so far, so that a search which was stopped repeats none."""
    experiment = build(supernet)
    space = _space(config, experiment)
    _check_supernet(folder, supernet, experiment)
    console.rule("search")
    identity = {
        "supernet": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "split": experiment.dataset.index_hash,
    }
    known = read_scores(record, identity)
    measure = _fitness(folder, experiment, space)

    def fitness(genotype: Genotype) -> float:
        if genotype not in known:
            known[genotype] = measure(genotype)
            write_scores(record, identity, known, space)
        return known[genotype]

    node, started = config["placement"], time.time()
    evolution = Evolution(**{key: node[key] for key in Evolution.__annotations__})
    scores: Scores = {}
    for number, scores in enumerate(
        search(space, fitness, evolution, limit=node["limit"], seed=config["seed"])
    ):
        first = best(space, scores)[0]
        show_line(
            f"generation {number + 1} of {evolution.generations}",
            f"val/mean_acc {100 * scores[first]:.1f} % with {space.cost(first):,} parameters, the best of {len(scores)}",
        )
    first = best(space, scores)[0]
    write_found(record, space, first, scores[first], config["seed"])
    show_line("found", f"{record.folder / FOUND} in {time.time() - started:.1f} s")


def _check_supernet(folder: Path, supernet: dict[str, Any], experiment: Experiment) -> None:
    if read_status(folder).get("state") == "diverged":
        raise UserError(
            f"{folder}: the supernet diverged, so its sub-networks say nothing; legal: a smaller placement.lr"
        )
    theirs = read_config(folder)
    other = [key for key in SAME if theirs.get(key) != supernet[key]]
    if other:
        raise UserError(
            f"placement.run={folder} has another {other[0]} than this run; legal: a supernet with the same one"
        )
    if json.loads((folder / "split.json").read_text())["hash"] != experiment.dataset.index_hash:
        raise UserError(
            f"placement.run={folder} was trained on other images, perhaps on those that validate here; legal: the same dataset"
            " and seed"
        )


def _fitness(folder: Path, experiment: Experiment, space: Space) -> Callable[[Genotype], float]:
    """Mean class accuracy on the validation split, with the weights that the sub-network has in the supernet."""
    dataset, plan, device = experiment.dataset, experiment.plan, experiment.device
    assert dataset.val is not None
    model = load(folder, dataset.class_names).to(device)
    batches: Any = EvalBatches(
        dataset.val, dataset.eval_transform, batch_size=plan.eval_batch_size, num_workers=dataset.num_workers
    )
    if len(dataset.val) <= MAX_KEPT:
        batches = list(batches)

    def measure(genotype: Genotype) -> float:
        model.use(space.active(genotype))
        counts = evaluate(model, batches, len(dataset.class_names), device, autocast(plan, device))
        return group_metrics(counts, dataset.groups)["mean_acc"]

    return measure
