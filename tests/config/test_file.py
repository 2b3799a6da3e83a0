"""config.yaml: what is written comes back, and a damaged one is a sentence."""

import pytest
import yaml

from peftlab.config.file import config_text, read_config
from peftlab.config.name import config_hash
from peftlab.errors import UserError


def test_what_is_written_comes_back_under_its_format(composed, tmp_path):
    config = composed("peft=hlpt", "scaling=gated")
    text = config_text(config)
    assert text.startswith("format: 2\n")
    (tmp_path / "config.yaml").write_text(text)
    assert read_config(tmp_path) == config
    assert list(yaml.safe_load(text)) == ["format", *config]
    assert config_hash(read_config(tmp_path)) == config_hash(config)


@pytest.mark.parametrize("data", [b"", b"3", b"- a", b"a: [", b"\xff\xfe{"])
def test_a_damaged_file(tmp_path, data):
    (tmp_path / "config.yaml").write_bytes(data)
    with pytest.raises(UserError, match=r"config\.yaml .*; the file is damaged; legal: .*resume=false"):
        read_config(tmp_path)
