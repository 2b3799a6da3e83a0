"""Where Hydra 1.3 and 1.4 want different words of a caller; no other file asks which one is installed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from omegaconf import OmegaConf

BEFORE_1_4 = hydra.__version__.startswith("1.3.")
# of hydra.main and initialize_config_dir: 1.3 asks for it, 1.4 warns of it
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if BEFORE_1_4 else {}
# what a `_target_` may name, which 1.4 asks for: this package and nothing else
TARGETS = ("peftlab.*",)
# OmegaConf 2.4 has a new name for it
register_resolver: Callable[..., None] = (
    OmegaConf.register_new_resolver if BEFORE_1_4 else OmegaConf.register_resolver
)


_waiting: list[Callable[[], None]] = []


@contextmanager
def careful_save() -> Iterator[None]:
    """Inside of it Hydra's multirun.yaml is written over no other program's, over an own one when a job was not refused
    (`save_waiting`), and a place where it cannot be is no error: Hydra writes it before the first job, and all may be finished.
    """
    save = OmegaConf.save

    def careful(config: Any, f: Any, resolve: bool = False) -> None:
        path = Path(f) if isinstance(f, str | Path) else None
        if path is None or path.name != "multirun.yaml":
            save(config, f, resolve)
            return
        with suppress(OSError):
            if not path.exists():
                save(config, f, resolve)
            elif "peftlab" in path.read_text(encoding="utf-8", errors="replace"):
                _waiting[:] = [lambda: save(config, f, resolve)]

    OmegaConf.save = careful  # type: ignore[method-assign]
    _waiting.clear()
    try:
        yield
    finally:
        OmegaConf.save = save  # type: ignore[method-assign]


def save_waiting() -> None:
    """Write what `careful_save` has kept back."""
    while _waiting:
        with suppress(OSError):
            _waiting.pop()()


def trusted_targets() -> AbstractContextManager[Any]:
    """Inside of it Hydra makes objects of this package only; 1.3 has no word for that."""
    return nullcontext() if BEFORE_1_4 else hydra.utils.execution_whitelist(TARGETS)  # type: ignore[attr-defined]
