"""Is a folder that of a finished run? Answered without torch."""

from pathlib import Path

from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.record.status import DONE, FILE, read_status

NEEDED = ("config.yaml", "adapter.yaml", "adapter.safetensors")
LEGAL = "legal: the folder of a finished run"


def finished_run(path: str) -> Path:
    """The folder `path`, which `peftlab.load` can read. An exported adapter is one too.

    Raises:
        UserError: if it is no folder, not that of a run, or the run did not come to its end.
    """
    folder = expanded(path)
    if not folder.is_dir():
        raise UserError(f"{path} is not a folder; {LEGAL}")
    state = read_status(folder).get("state", "unreadable") if (folder / FILE).is_file() else None
    if state is not None and state not in DONE:
        raise UserError(f"{path} is the folder of a run that is not finished (state: {state}); {LEGAL}")
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if len(missing) == len(NEEDED):
        raise UserError(f"{path} is not the folder of a run; {LEGAL}, as in outputs/RUN")
    if missing:
        raise UserError(f"{path} has no {missing[0]}; {LEGAL}")
    return folder
