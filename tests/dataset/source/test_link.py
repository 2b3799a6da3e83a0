"""What counts as inside a data set's folder."""

from pathlib import Path

import pytest

from peftlab.dataset.source.link import is_inside


def link(path: Path, target: str | Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def test_what_lies_in_it_and_links_that_stay(tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "a").mkdir(parents=True)
    assert is_inside(root / "a" / "1.png", root)
    assert is_inside(link(root / "b", "a"), root)
    assert not is_inside(link(root / "c", ".."), root)
    assert not is_inside(root / "c" / "1.png", root)
    assert not is_inside(root / ".." / "1.png", root)
    assert is_inside(root / "1.png", link(tmp_path / "here", root))


@pytest.mark.parametrize(
    ("file", "target", "inside"),
    [
        ("repo/snapshots/rev/data/1", "repo/blobs/0a", True),
        ("repo/snapshots/rev/1", "repo/blobs/0a", True),
        ("repo/snapshots/rev/1", "other/blobs/0a", False),  # of another repository
        ("repo/snapshots/rev/1", "blobs/0a", False),
        ("repo/snapshots/rev/1", "repo/blobs/deep/0a", False),
        ("repo/data/1", "repo/blobs/0a", False),  # no cache of the hub
    ],
)
def test_the_cache_of_the_hub(tmp_path: Path, file: str, target: str, inside: bool) -> None:
    folder = (tmp_path / file).parent
    assert is_inside(link(tmp_path / file, tmp_path / target), folder) == inside


def test_blobs_that_are_elsewhere(tmp_path: Path) -> None:
    link(tmp_path / "repo" / "blobs", tmp_path / "secret")
    file = link(tmp_path / "repo" / "snapshots" / "rev" / "1", tmp_path / "repo" / "blobs" / "0a")
    assert not is_inside(file, file.parent)
