"""Where Hydra 1.3 and 1.4 want different words of a caller; no other file asks which one is installed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from omegaconf import OmegaConf

from peftlab.config.directory import add_plugins
from peftlab.config.registry import targets_of
from peftlab.errors import UserError

add_plugins()  # before Hydra looks for plugins, which it does once in a process
HYDRA = hydra.__version__
BEFORE_1_4 = HYDRA.startswith("1.3.")
# of hydra.main and initialize_config_dir: 1.3 asks for it, 1.4 warns of it
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if BEFORE_1_4 else {}
# what Hydra itself may make objects of, apart from its own plugins: the callbacks of configs/config.yaml
TARGETS = ("peftlab.config.multirun.Multirun", "peftlab.report.callback.SweepReport")
# OmegaConf 2.4 has a new name for it
register_resolver: Callable[..., None] = (
    OmegaConf.register_new_resolver if BEFORE_1_4 else OmegaConf.register_resolver
)


def write_dirname(config: Any, overrides: Sequence[Any]) -> None:
    """Say in `hydra.job.override_dirname` what the words of a job make of it; 1.4 looks it up by itself."""
    if BEFORE_1_4:
        from hydra._internal.config_loader_impl import get_overrides_dirname

        said = config.hydra.job.config.override_dirname
        parts = {"kv_sep": said.kv_sep, "item_sep": said.item_sep, "exclude_keys": said.exclude_keys}
        config.hydra.job.override_dirname = get_overrides_dirname(overrides=list(overrides), **parts)


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
    """Inside of it Hydra makes its own plugins and our callbacks, and nothing else."""
    return _only_ours() if BEFORE_1_4 else hydra.utils.execution_whitelist(TARGETS)  # type: ignore[attr-defined]


@contextmanager
def _only_ours() -> Iterator[None]:
    """1.3 has no word for that: it makes callbacks of any target, in the order of the config."""
    make = hydra.utils.instantiate

    def make_ours(config: Any, *args: Any, **more: Any) -> Any:
        for path, target in targets_of(OmegaConf.to_container(OmegaConf.create(config), resolve=True)):
            if path or target not in TARGETS:
                raise UserError(
                    f"hydra.callbacks: _target_={target} is none of the project's callbacks; legal: {', '.join(TARGETS)}"
                )
        return make(config, *args, **more)

    hydra.utils.instantiate = make_ours
    try:
        yield
    finally:
        hydra.utils.instantiate = make
