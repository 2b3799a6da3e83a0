"""Several runs on one trunk: what of them can be shared is."""

from collections.abc import Iterable

from peftlab.build.experiment import Experiment
from peftlab.build.trunk import open_trunk
from peftlab.config.resolved import Resolved
from peftlab.fit.learner import Batches
from peftlab.network.network import Network


def shared_network(resolved: Resolved, num_together: int | None = None) -> Network:
    """A network for this run and for others with the same backbone, device and plan; `num_together` as there.

    Raises:
        UserError: for weights or data that cannot be had.
    """
    return Network(open_trunk(resolved).backbone, num_together, checkpointing=resolved.fit.checkpointing)


def share_batches(experiments: Iterable[Experiment]) -> None:
    """Those with the same items and seed train on one stream of batches."""
    streams: dict[tuple[str, int], Batches] = {}
    for experiment in experiments:
        key = (experiment.train_hash, experiment.resolved.seed)
        experiment.learner.batches = streams.setdefault(key, experiment.learner.batches)
