"""placement=from_file: a placement that was written down, such as the one that a search has found."""

from pathlib import Path

import yaml

from peftlab.errors import UserError
from peftlab.placement.cells import cells
from peftlab.placement.ground import Ground, Placement


def from_file(ground: Ground, *, file: str) -> Placement:
    """The `cells` of a YAML file, as placement=cells takes them: `cells: {"0-5.q": {rank: 8}}`. Other keys are not read.

    Raises:
        UserError: if the file is missing or has no such mapping, and what placement=cells raises.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError(
            f"placement.file={file} does not exist; legal: a YAML file with cells, as RUN/search/found.yaml"
        )
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: no text
        raise UserError(
            f"placement.file={file} is not a YAML file; legal: one with a mapping cells"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("cells"), dict):
        raise UserError(f"placement.file={file} has no mapping cells; legal: cells: {{0-5.q: {{rank: 8}}}}")
    return cells(ground, cells=found["cells"])
