"""What a search leaves in its run folder: search/evaluated.jsonl, every score so far, and search/found.yaml."""

import json
from typing import Any

import yaml

from peftlab.config.signature import signature
from peftlab.errors import UserError
from peftlab.placement.space import Genotype, Space
from peftlab.record.record import Record
from peftlab.search.evolution import Scores

CELLS = "peftlab.placement.cells.cells"
FOUND, EVALUATED = "search/found.yaml", "search/evaluated.jsonl"


def read_scores(record: Record, identity: dict[str, str]) -> Scores:
    """The fitness of what was evaluated before; `identity` says which supernet and which items.

    Raises:
        UserError: if they are those of another search.
    """
    path = record.folder / EVALUATED
    if not path.is_file():
        return {}
    first, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    if first != identity:
        raise UserError(
            f"{path} is of another supernet or other items than this search; legal: resume=false, which starts over"
        )
    return {tuple(map(tuple, row["genotype"])): row["val/mean_acc"] for row in rows}


def write_scores(record: Record, identity: dict[str, str], scores: Scores, space: Space) -> None:
    """The identity, then one row per genotype in the order of evaluation."""
    rows = [
        {"genotype": genotype, "num_parameters": space.cost(genotype), "val/mean_acc": score}
        for genotype, score in scores.items()
    ]
    record.write_text(EVALUATED, "".join(json.dumps(row) + "\n" for row in (identity, *rows)))


def write_found(record: Record, space: Space, genotype: Genotype, score: float, seed: int) -> None:
    """A whole node of the group placement, so that the file is one for placement=from_file or in configs/placement."""
    options: dict[str, Any] = dict.fromkeys(signature(CELLS).keys)
    node = {"_target_": CELLS, **options, "cells": space.cells(genotype), "budget": None}
    record.write_text(
        FOUND,
        f"# found with seed {seed}: val/mean_acc {score:.4f} with the weights of the supernet, {space.cost(genotype)}"
        " parameters\n# placement=from_file placement.file=THIS_FILE; or put it in configs/placement as NAME.yaml:"
        " placement=NAME\n" + yaml.safe_dump(node, sort_keys=False),
    )


def read_found(record: Record) -> dict[str, Any] | None:
    """The placement that was found, or None before the end of the search."""
    path = record.folder / FOUND
    node: dict[str, Any] | None = yaml.safe_load(path.read_text()) if path.is_file() else None
    return node
