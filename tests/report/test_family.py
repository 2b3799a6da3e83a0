"""Every method of peftlab has a family, once."""

import pytest

from peftlab.config.directory import config_dir
from peftlab.report.family import FAMILIES, HEAD_ALONE, family, order

METHODS = sorted(path.stem for path in (config_dir() / "peft").glob("*.yaml"))


def test_every_method_is_in_one_family() -> None:
    assert sorted(name for names in FAMILIES.values() for name in names) == METHODS


@pytest.mark.parametrize(("method", "name"), [("lora", "low-rank"), ("mam", "hybrid"), ("mine", "other")])
def test_a_method_s_family(method: str, name: str) -> None:
    assert family(method) == name


def test_the_order_is_by_family_with_strangers_last() -> None:
    ordered = sorted([*METHODS, "mine"], key=order)
    assert (ordered[0], ordered[-1]) == (HEAD_ALONE, "mine")
    assert [name for name in ordered if family(name) == "prompts"] == list(FAMILIES["prompts"])
