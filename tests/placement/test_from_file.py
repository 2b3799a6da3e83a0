"""A placement from a YAML file is the one of placement=cells."""

import pytest

from peftlab.errors import UserError
from peftlab.placement.cells import cells
from peftlab.placement.from_file import from_file
from peftlab.placement.ground import Ground

GROUND = Ground(["0", "1", "2"], ["q", "v", "ffn"], candidates=[])


def test_the_same_cells_and_other_keys_are_not_read(tmp_path):
    path = tmp_path / "found.yaml"
    path.write_text("# found\n_target_: anything\ncells:\n  0-1.q: {rank: 5}\n  2.ffn:\nbudget: null\n")
    given = {"0-1.q": {"rank": 5}, "2.ffn": None}
    assert from_file(GROUND, file=str(path)) == cells(GROUND, cells=given)
    assert len(from_file(GROUND, file=str(path)).cells) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"placement\.file=.* does not exist; legal: a YAML file with cells"),
        ("a: [", r"placement\.file=.* is not a YAML file"),
        ("- 1", r"placement\.file=.* has no mapping cells"),
        ("cells: 3", r"placement\.file=.* has no mapping cells"),
        ("cells: {9.q: {}}", r"placement\.cells: 9\.q: depth=9 is outside the backbone"),
    ],
)
def test_a_file_that_is_no_placement(tmp_path, text, sentence):
    path = tmp_path / "found.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=f"^{sentence}"):
        from_file(GROUND, file=str(path))


def test_a_file_that_is_larger_than_a_placement(tmp_path):
    path = tmp_path / "found.yaml"
    path.write_text("a: &a [1,1,1,1,1,1,1,1,1]\n" + "b: &b [*a,*a,*a]\n" * 20000)
    with pytest.raises(UserError, match=r"has more than 262144 bytes; legal"):
        from_file(GROUND, file=str(path))
    path.write_text("a0: &a0 [1,1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]\n" for i in range(1, 40)))
    with pytest.raises(UserError, match="is not a YAML file"):
        from_file(GROUND, file=str(path))
