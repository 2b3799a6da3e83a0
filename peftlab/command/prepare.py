"""`peftlab-data prepare`: makes of a published data set what its lists name."""

from collections.abc import Mapping
from typing import Any

from peftlab.dataset.source.prepare import PREPARED
from peftlab.dataset.source.where import folder_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain
from peftlab.record.whole_file import write_whole


def prepare(name: str, options: Mapping[str, Any]) -> list[str]:
    """Lines for people: the lists that were written, and what they name. `options` are those of the choice `name` of `dataset`.

    Raises:
        UserError: for a set of which nothing has to be made, and for a file that is missing or wrong.
    """
    if name not in PREPARED:
        raise UserError(f"dataset={name} has nothing to prepare; legal: {', '.join(PREPARED)}")
    source = options["source"].options
    root = folder_of(options["path"], source["folder"])
    lines = []
    for file, text in PREPARED[name](name, root, source).items():
        write_whole(root / file, text)
        labels = {line.rpartition(" ")[2] for line in text.splitlines()}
        lines.append(
            f"written: {plain(str(root / file))}, {text.count(chr(10)):,} images of {len(labels)} classes"
        )
    return lines
