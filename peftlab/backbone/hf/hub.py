"""The files of a model of the Hugging Face hub, or of its cache."""

from collections.abc import Sequence
from pathlib import Path

from peftlab.backbone.hf.folder import LEGAL, READ
from peftlab.backbone.hub import hub_or_cache
from peftlab.errors import UserError


def hub_folder(name: str, read: Sequence[str] = READ) -> Path:
    """The folder of the cache in which the files of the model `name` lie, those of `read` that it has.

    Raises:
        UserError: if they are neither on the hub nor in the cache.
    """
    from huggingface_hub import snapshot_download

    try:
        with hub_or_cache(name):
            return Path(snapshot_download(name, allow_patterns=list(read)))
    except (
        Exception
    ) as error:  # no network, no such model, a disk that is full: the kinds change with every release
        said = str(error).strip().splitlines()
        raise UserError(
            f"backbone.name={name} cannot be had from the hub ({said[0] if said else type(error).__name__}); {LEGAL}"
        ) from error
