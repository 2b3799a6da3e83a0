"""What a run says of its data at its start."""

from peftlab.dataset.dataset import Dataset


def data_line(data: Dataset, num_train: int, noun: str) -> str:
    """Items, classes (people's `noun` for them) and groups."""
    counts = data.counts
    groups = ", ".join(f"{len(classes)} {name}" for name, classes in data.groups.items())
    val = f", {len(data.val)} to validate" if data.val is not None else ""
    note = f"; {data.note}" if data.note else ""
    return (
        f"{data.name}, {num_train} {data.noun} to train on{val}, {len(data.class_names)} {noun} ({groups}),"
        f" {int(counts.max())} to {int(counts.min())} {data.noun} a class; split {data.index_hash[:12]}{note}"
    )
