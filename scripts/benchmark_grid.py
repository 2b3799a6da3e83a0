"""What the training steps of a grid cost on one trunk, against one run after another, side by side in one process.

    python scripts/benchmark_grid.py [--rounds 8] [--threads 1] [--json FILE] [overrides with lists, as for peftlab -m]

A round trains every cell by one step, once on one trunk and once apart, on the same batches, optimizer's step included. The
bound counts blocks: a separate step runs every block forward and those from the first site on backward; on one trunk the
blocks below the first sites run forward once for all. Ratios are medians of round-by-round ratios.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch

from peftlab.build.experiment import Experiment, build
from peftlab.build.together import share_batches, shared_network
from peftlab.config.compose import composed
from peftlab.config.resolve import resolve
from peftlab.fit.fit import fit
from peftlab.network.below import first_block
from peftlab.network.network import Network

GRID = ("placement.depth=0-2,3-5,6-8,9-11", "placement.position=q,k,v,out,mlp1,mlp2")


def cells(words: list[str]) -> list[tuple[str, ...]]:
    """The words of every job: commas outside of brackets make the combinations."""
    lists = []
    for word in words:
        key, _, value = word.partition("=")
        lists.append([f"{key}={one}" for one in ([value] if "[" in value else value.split(","))])
    return list(product(*lists))


def steps(network: Network, experiments: list[Experiment]) -> Callable[[], None]:
    """One step of all of these."""
    plan = experiments[0].resolved.fit
    rounds: Iterator[Any] = fit(plan, network, [one.learner for one in experiments], start=0)
    return lambda: next(rounds)


def bound(experiments: list[Experiment]) -> float:
    """Blocks that run on one trunk, per block that runs apart; a block's backward, without its weights', counts as its forward."""
    depth = experiments[0].trunk.backbone.depth
    firsts = [first_block(one.cell, one.trunk.backbone) for one in experiments]
    together = max(firsts) + sum(2 * (depth - first) for first in firsts)
    return together / sum(2 * depth - first for first in firsts)


def main() -> None:
    """Measure, and print the ratio beside its bound."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments, words = parser.parse_known_args()
    torch.set_num_threads(arguments.threads)
    more = ["fit.epochs=100", *(word for word in words if "placement" not in word)]
    grid = [word for word in words if "placement" in word] or list(GRID)
    resolved = [resolve(composed(*job)) for job in cells([*grid, *more])]
    network = shared_network(resolved[0], num_together=1)
    joint = [build(one, network=network) for one in resolved]
    share_batches(joint)
    together = steps(network, joint)
    apart = [steps(one.network, [one]) for one in (build(own) for own in resolved)]
    times: list[tuple[float, float]] = []
    for number in range(arguments.rounds + 1):
        began = time.perf_counter()
        together()
        middle = time.perf_counter()
        for step in apart:
            step()
        if number:
            times.append((middle - began, time.perf_counter() - middle))
    ratios = [one / other for one, other in times]
    low, median, high = statistics.quantiles(ratios, n=4)
    found = {
        "cells": len(resolved),
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "together_s": statistics.median(one for one, _ in times),
        "apart_s": statistics.median(other for _, other in times),
        "ratio": median,
        "quartiles": [low, high],
        "bound": bound(joint),
        "share_of_gain": (1 - median) / (1 - bound(joint)) if bound(joint) < 1 else None,
        "words": words,
    }
    print(json.dumps(found, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
