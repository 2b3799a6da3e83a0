"""Position names: exactly those of the method, in its order, or a sentence with the nearest one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.position import OPTIONAL, SHORTCUTS, parse_position
from peftlab.site import LINEAR, POSITIONS, SUBLAYER

PLAIN = tuple(name for name in LINEAR if name != "gate")
LEGAL = st.permutations(POSITIONS).flatmap(lambda names: st.integers(1, len(names)).map(lambda n: names[:n]))


@given(st.data(), LEGAL)
def test_any_list_of_legal_names_resolves_to_exactly_those(data: st.DataObject, legal: list[str]) -> None:
    named = data.draw(st.lists(st.sampled_from(legal), min_size=1, max_size=12))
    found = parse_position(named, legal, key="position")
    assert set(found) == set(named)
    assert found == [name for name in legal if name in found]  # the method's order, no name twice
    assert parse_position(named[0], legal, key="position") == [named[0]]
    assert parse_position([*named, "all"], legal, key="position") == list(legal)


@given(st.data(), LEGAL)
def test_a_shortcut_is_all_of_its_members_or_refused(data: st.DataObject, legal: list[str]) -> None:
    shortcut = data.draw(st.sampled_from(sorted(SHORTCUTS)))
    members = set(SHORTCUTS[shortcut])
    if members <= set(legal):
        more = set(OPTIONAL.get(shortcut, ())) & set(legal)
        assert set(parse_position(shortcut, legal, key="position")) == members | more
    else:
        with pytest.raises(UserError, match=f"position={shortcut} is not a position"):
            parse_position([legal[0], shortcut], legal, key="position")


def test_shortcuts_by_hand() -> None:
    assert parse_position("attn_qv", LINEAR, key="p") == ["q", "v"]
    assert parse_position("attn_qkv", LINEAR, key="p") == ["q", "k", "v"]
    assert parse_position("attn_linear", LINEAR, key="p") == ["q", "k", "v", "out"]
    assert parse_position("mlp", PLAIN, key="p") == ["mlp1", "mlp2"]
    assert parse_position(["mlp2", "q", "q", "mlp"], PLAIN, key="p") == ["q", "mlp1", "mlp2"]
    assert parse_position("all", SUBLAYER, key="p") == ["attn", "ffn"]


def test_mlp_names_the_gate_where_there_is_one() -> None:
    assert parse_position("mlp", LINEAR, key="p") == ["mlp1", "gate", "mlp2"]
    assert parse_position(["gate", "mlp"], ("mlp2", "gate", "mlp1"), key="p") == ["mlp2", "gate", "mlp1"]
    for lacking in (("mlp1", "gate"), ("gate", "mlp2"), ("gate",)):
        with pytest.raises(UserError, match="p=mlp is not a position"):
            parse_position("mlp", lacking, key="p")
    with pytest.raises(UserError, match="p=gate is not a position"):
        parse_position("gate", PLAIN, key="p")


@pytest.mark.parametrize(
    ("given_name", "near"),
    [("mlp11", "mlp1"), ("qq", "q"), ("otu", "out"), ("attn_vq", "attn_qv"), ("All", "all")],
)
def test_a_misspelt_name_gets_the_nearest(given_name: str, near: str) -> None:
    with pytest.raises(
        UserError, match=rf"^placement\.position={given_name} .*did you mean {near}\?"
    ) as error:
        parse_position(["q", given_name], LINEAR, key="placement.position")
    assert all(name in str(error.value) for name in (*LINEAR, *SHORTCUTS, "all"))


@pytest.mark.parametrize(
    "name", ["project", "qkv", "attn.qkv", "Q", "q,v", "", "blocks.0.q", "norm1", "attn"]
)
def test_no_substring_no_module_name(name: str) -> None:
    with pytest.raises(UserError, match="is not a position this method can take"):
        parse_position(name, LINEAR, key="placement.position")


def test_one_typo_among_right_names_is_not_silent() -> None:
    with pytest.raises(UserError, match="position=w "):
        parse_position(["q", "w", "v"], LINEAR, key="position")


def test_an_empty_list_names_no_position() -> None:
    with pytest.raises(UserError, match="names no position"):
        parse_position([], LINEAR, key="position")
