"""Whether a W&B login exists on this machine: asked without wandb, network or prompt."""

import configparser
import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit


def has_login() -> bool:
    """True with WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE, or a netrc entry for the W&B server in use."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        return netrc.netrc(netrc_path()).authenticators(server()) is not None
    except (
        OSError,
        RuntimeError,
        UnicodeDecodeError,
        netrc.NetrcParseError,
    ):  # RuntimeError: there is no home
        return False


def home() -> Path | None:
    """The user's home; in a container, often neither $HOME nor an entry of the user database names one."""
    try:
        return Path.home() if os.environ.get("HOME") != "" else None
    except RuntimeError:
        return None


def server() -> str:
    """Host of the W&B server: WANDB_BASE_URL, or the one `wandb login --host` wrote, or the public one."""
    settings = configparser.ConfigParser()
    folder = os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb"
    try:
        settings.read(Path(folder) / "settings")
        written = settings.get("default", "base_url", fallback="")
    except (configparser.Error, OSError, UnicodeDecodeError):
        written = ""
    return urlsplit(os.environ.get("WANDB_BASE_URL") or written).hostname or "api.wandb.ai"


def netrc_path() -> Path:
    """The file that `wandb login` writes: $NETRC, else ~/.netrc, else ~/_netrc."""
    if os.environ.get("NETRC"):
        return Path(os.environ["NETRC"]).expanduser()
    home = Path.home()
    return home / ".netrc" if (home / ".netrc").exists() else home / "_netrc"
