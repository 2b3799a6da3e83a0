"""From a config node to the object that it names: the only caller of `instantiate`."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from peftlab.config.hydra_version import trusted_targets
from peftlab.errors import UserError


def make(node: dict[str, Any]) -> Any:
    """The object of a node with `_target_`, or the partial if it says `_partial_`."""
    try:
        with trusted_targets():
            return instantiate(node, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):  # Hydra wraps what a target raises
            raise error.__cause__ from None
        raise
