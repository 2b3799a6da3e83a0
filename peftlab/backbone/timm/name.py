"""Is this the name of a timm model? Answered from timm's source in milliseconds, without importing timm (seconds)."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from peftlab.errors import UserError

_REGISTERED = re.compile(r"@register_model\s+def (\w+)\(")


def check_timm_name(name: str) -> None:
    """`name` (backbone.name) is `model` or `model.tag`, both known to timm.

    Raises:
        UserError: with the nearest names.
    """
    model, _, tag = name.partition(".")
    models, text = _models()
    if model not in models:
        near = get_close_matches(model, models, n=3, cutoff=0.5)
        raise UserError(
            f"backbone.name={name} is not a timm model; legal: one of timm.list_models(), near: {', '.join(near) or 'none'}"
        )
    if tag and f"{name}'" not in text and f'{name}"' not in text:
        tags = sorted(set(re.findall(rf"['\"]{re.escape(model)}\.([\w.]+)['\"]", text)))
        # timm makes some names in a loop (*_clip_quickgelu_*); it answers for these itself, later
        if not tags:
            return
        raise UserError(
            f"backbone.name={name}: {model} has no weights called {tag}; legal: {', '.join(tags)}"
        )


@cache
def _models() -> tuple[set[str], str]:
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise UserError("timm is not installed; run pip install -e .")
    text = "\n".join(
        file.read_text(encoding="utf-8") for file in (Path(spec.origin).parent / "models").glob("*.py")
    )
    return set(_REGISTERED.findall(text)), text
