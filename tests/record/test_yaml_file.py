"""A mapping comes back, and whatever is none is one sentence."""

from pathlib import Path

import pytest

from peftlab.errors import UserError
from peftlab.record.yaml_file import WAY_OUT, read_yaml


def test_the_mapping_comes_back(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text("name: Grüße\nsites: [0.q, 1.v]\n", encoding="utf-8")
    assert read_yaml(tmp_path / "card.yaml", "card") == {"name": "Grüße", "sites": ["0.q", "1.v"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1, 2", "is not YAML"),
        (b"a: \xff\xfe", "is not YAML"),
        (b"", "holds no card"),
        (b"- 1\n- 2\n", "holds no card"),
        (b"[" * 3000, "is not YAML"),
        (b"\0\1", "is not YAML"),
        (b"a: 2001-02-31", "is not YAML"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "card.yaml").write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_yaml(tmp_path / "card.yaml", "card")
    assert str(refused.value) == f"{tmp_path / 'card.yaml'} {words}; the file is damaged; {WAY_OUT}"
