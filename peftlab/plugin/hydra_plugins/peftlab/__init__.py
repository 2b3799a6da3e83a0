"""Our launchers and sweepers. Hydra imports this after the plugins of others, of which two have names that ours have, too."""

from hydra.core.config_store import ConfigStore

_ours = ("launcher", "ray.yaml"), ("sweeper", "optuna.yaml")
for _group, _name in _ours:  # Hydra 1.3 would take theirs as the schema of ours
    ConfigStore.instance().repo.get("hydra", {}).get(_group, {}).pop(_name, None)
