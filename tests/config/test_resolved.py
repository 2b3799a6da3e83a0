"""A config as everything below it sees it."""

import dataclasses
from typing import Any, get_type_hints

import pytest
from fixtures.configs import composed

from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved, Root
from peftlab.config.schema import GROUPS


def test_a_resolved_config_is_frozen(base: dict[str, Any]) -> None:
    resolved = resolve(base)
    for owner, name in (
        (resolved, "seed"), (resolved, "fit"), (resolved.root, "seed"), (resolved.fit, "epochs"),
        (resolved.parts[0], "depth"), (resolved.head, "target"),
    ):  # fmt: skip
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
            setattr(owner, name, 3)


def test_it_is_typed_and_has_every_group() -> None:
    """`raw` is the only dict."""
    hints = get_type_hints(Resolved)
    assert set(GROUPS) - {"peft"} <= set(hints)
    assert [name for name, kind in hints.items() if kind == dict[str, Any]] == ["raw"]
    assert Any not in hints.values()
    assert {field.name for field in dataclasses.fields(Root)} <= set(composed())


def test_a_part_is_found_by_its_name() -> None:
    resolved = resolve(composed("peft=hlpt"))
    assert [resolved.part(part.name) for part in resolved.parts] == list(resolved.parts)
    with pytest.raises(StopIteration):
        resolved.part("adapter")


def test_a_supernet_is_known_by_its_placement() -> None:
    assert resolve(composed("peft=noah", "placement=supernet")).is_supernet
    assert not resolve(composed("peft=noah", "placement=noah")).is_supernet
