"""placement=from_file: a placement that was written down, such as the one that a search has found."""

from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.yaml_text import parse_yaml
from peftlab.placement.cells import cells
from peftlab.placement.ground import Ground, Placement

MAX_BYTES = 2**18  # a hundred times what all sites of a large backbone need


def from_file(ground: Ground, *, file: str) -> Placement:
    """The `cells` of a YAML file, as placement=cells takes them: `cells: {"0-5.q": {rank: 8}}`. Other keys are not read.

    Raises:
        UserError: if the file is missing or has no such mapping, and what placement=cells raises.
    """
    path = expanded(file)
    if not path.is_file():
        raise UserError(
            f"placement.file={file} does not exist; legal: a YAML file with cells, as RUN/search/found.yaml"
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(
                f"placement.file={file} has more than {MAX_BYTES} bytes; legal: one with a mapping cells"
            )
        found = parse_yaml(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(
            f"placement.file={file} is not a YAML file; legal: one with a mapping cells"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("cells"), dict):
        raise UserError(f"placement.file={file} has no mapping cells; legal: cells: {{0-5.q: {{rank: 8}}}}")
    return cells(ground, cells=found["cells"])
