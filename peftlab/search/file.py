"""What a search leaves in its run folder: search/evaluated.jsonl, every score so far, and search/found.yaml."""

import json
from typing import Any

import yaml

from peftlab.config.signature import signature
from peftlab.errors import UserError
from peftlab.placement.space import Genotype, Space
from peftlab.record.record import Record
from peftlab.record.yaml_file import read_yaml
from peftlab.search.evolution import Scores

CELLS = "peftlab.placement.cells.cells"
FOUND, EVALUATED = "search/found.yaml", "search/evaluated.jsonl"


def read_scores(record: Record, identity: dict[str, str], metric: str) -> Scores:
    """The fitness of what was evaluated before, which is this `metric`; `identity` says which supernet and which items.

    Raises:
        UserError: if they are those of another search.
    """
    path = record.folder / EVALUATED
    if not path.is_file():
        return {}
    try:
        first, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        scores = {tuple(map(tuple, row["genotype"])): float(row[f"val/{metric}"]) for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged; legal: delete it, which searches again") from error
    if first != identity:
        raise UserError(
            f"{path} is of another supernet or other items than this search; legal: resume=false, which starts over"
        )
    return scores


def write_scores(record: Record, identity: dict[str, str], scores: Scores, space: Space, metric: str) -> None:
    """The identity, then one row per genotype in the order of evaluation."""
    rows = [
        {"genotype": genotype, "num_parameters": space.cost(genotype), f"val/{metric}": score}
        for genotype, score in scores.items()
    ]
    record.write_text(EVALUATED, "".join(json.dumps(row) + "\n" for row in (identity, *rows)))


def write_found(
    record: Record, space: Space, genotype: Genotype, score: float, seed: int, metric: str
) -> None:
    """A whole node of the group placement, so that the file is one for placement=from_file or in configs/placement."""
    options: dict[str, Any] = dict.fromkeys(signature(CELLS).keys)
    node = {"_target_": CELLS, **options, "cells": space.cells(genotype), "budget": None}
    record.write_text(
        FOUND,
        f"# found with seed {seed}: val/{metric} {score:.4f} with the weights of the supernet, {space.cost(genotype)}"
        " parameters\n# placement=from_file placement.file=THIS_FILE; or put it in configs/placement as NAME.yaml:"
        " placement=NAME\n" + yaml.safe_dump(node, sort_keys=False),
    )


def read_found(record: Record) -> dict[str, Any] | None:
    """The placement that was found, or None before the end of the search.

    Raises:
        UserError: if the file is not one that a search wrote.
    """
    path = record.folder / FOUND
    if not path.is_file():
        return None
    node = read_yaml(path, "placement")
    if node.get("_target_") != CELLS or not isinstance(node.get("cells"), dict):
        raise UserError(f"{path} is no placement that a search found; legal: delete it, which searches again")
    return node
