"""Whether the hub that weights come from answers."""

from collections.abc import Iterator
from contextlib import contextmanager

REACH_S = 5


@contextmanager
def hub_or_cache(name: str) -> Iterator[None]:
    """Inside, the weights of the repository `name` come from the hub if it answers within REACH_S, else from its cache.

    Without this the hub's client retries for most of a minute, even for weights that are in the cache.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _is_reachable(name)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _is_reachable(name: str) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, timeout=REACH_S)
    except HfHubHTTPError:
        return True  # it answered: its client will say what is wrong with the name
    except Exception:  # no network; the kinds change with every release
        return False
    return True
