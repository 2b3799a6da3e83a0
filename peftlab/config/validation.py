"""Whether a composed config validates on any items: asked before data are opened."""

from typing import Any

from peftlab.dataset.rules import leaves_none


def has_none(config: dict[str, Any]) -> bool:
    """Whether it is sure that the run has no validation items; a config that is wrong elsewhere is not judged."""
    data, fit = config.get("dataset"), config.get("fit")
    if not isinstance(data, dict) or not isinstance(fit, dict) or not isinstance(data.get("source"), dict):
        return False
    source = str(data["source"].get("_target_", "")).split(".")
    word = source[-2] if len(source) > 1 else ""
    return leaves_none(
        data.get("val_fraction"), word, data["source"].get("val_split"), str(fit.get("select"))
    )
