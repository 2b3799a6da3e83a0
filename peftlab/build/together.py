"""Several runs on one trunk: what of them can be shared is."""

from collections.abc import Sequence

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.fit.learner import Batches
from peftlab.network.network import Network


def build_together(
    runs: Sequence[Resolved], num_together: int | None = None
) -> tuple[Network, list[Experiment]]:
    """The experiments of runs with one backbone and one plan, on one network; those with the same items, seed and batch size
    train on one stream of batches. `num_together`: how many of them share a forward in training; None is all.

    Raises:
        UserError: for runs that differ in their backbone, device or plan.
    """
    first = runs[0]
    network: Network | None = None
    streams: dict[tuple[str, int], Batches] = {}
    experiments = []
    for resolved in runs:
        if resolved.fit != first.fit or (resolved.backbone, resolved.root.device) != (
            first.backbone,
            first.root.device,
        ):
            raise UserError(
                "runs that share a network have one backbone, one device and one fit; legal: runs that differ in peft, placement,"
                " scaling, optim, dataset or seed"
            )
        experiment = build(resolved, network=network)
        network = experiment.network
        key = (experiment.train_hash, resolved.seed)
        experiment.learner.batches = streams.setdefault(key, experiment.learner.batches)
        experiments.append(experiment)
    assert network is not None
    return network, experiments
