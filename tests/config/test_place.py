"""The sites of every part, before there is a backbone and on one."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from fixtures.configs import composed

from peftlab.config.place import below, check_cells, place
from peftlab.config.resolve import resolve
from peftlab.placement.depth import block_labels
from peftlab.placement.ground import Scorer
from peftlab.site import LINEAR, POSITIONS, Site

Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]
Matches = Callable[[str, str], bool]

WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"placement.depth": 12},
        "placement.depth=12 is outside the backbone; legal: blocks 0-11 (or -12 to -1)",
    ),
    ({"placement.depth": "0-12"}, "placement.depth=0-12 is outside the backbone"),
    ({"placement.depth": [0, -13]}, "placement.depth=-13 is outside the backbone"),
    ({"placement.depth": []}, "placement.depth=[] names no block; legal: "),
    ({"placement.depth": "1%-2%"}, "placement.depth=1%-2% holds none of the 12 blocks"),
    ({"placement.depth": 0.5}, "placement.depth=0.5 is not a depth; legal: "),
    ({"placement.depth": None}, "placement.depth=null is not legal; legal: "),
    (
        {"placement.position": []},
        "placement.position=[] names no position; legal: q, k, v, in, x, dt, out, xq, xk, xv, xout, mlp1, gate, mlp2",
    ),
    (
        {"placement.position": "quey"},
        "placement.position=quey is not a position this method can take; legal: q, k",
    ),
    (
        {"placement.position": "ffn"},
        "placement.position=ffn is not a position this method can take; legal: q, k",
    ),
]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values)[:60] for values, _ in WRONG])
def test_a_wrong_value_is_one_sentence(
    change: Change, refused: Refused, matches: Matches, values: dict[str, Any], words: str
) -> None:
    text = refused(change(values))
    assert matches(text, words), text


@pytest.mark.parametrize(
    ("peft", "position"),
    [("adaptformer", "q"), ("adapter_pfeiffer", "attn"), ("adapter_houlsby", "mlp1"), ("bitfit", "ffn")],
)
def test_a_position_of_another_method(change: Change, refused: Refused, peft: str, position: str) -> None:
    text = refused(change({"placement.position": position}, peft=peft))
    assert text.startswith(f"placement.position={position} is not a position this method can take; legal: ")


CELLS: list[tuple[Any, str]] = [
    (None, "placement.cells=None names no site"),
    ({"0-5.q": {"rnk": 8}}, "placement.cells: 0.q has the option rnk=8; legal: rank, dropout, scale"),
    ({"0-5.q": {"positions": ["k"]}}, "placement.cells: 0.q has the option positions="),
    ({"0-5.q": {"rank": -8}}, "placement.cells: 0.q has rank=-8; legal: a whole number from 1 to 4096"),
    ({"0-5.q": {"rank": None}}, "placement.cells: 0.q has rank=null; legal: a whole number from 1 to 4096"),
    ({"0-5.q": {"scale": None}}, "placement.cells: 0.q has scale=null; legal: a number above 0"),
    ({"0-5.q": {"scale": 0}}, "placement.cells: 0.q has scale=0; legal: a number above 0"),
    ({"0-5.q": {"dropout": 2}}, "placement.cells: 0.q has dropout=2; legal: a number from 0 to below 1"),
    ({"0-5.q": {}, "5.q": {}}, "placement.cells names the site 5.q twice, the second time in 5.q"),
    ({"0-12.q": {}}, "placement.cells: 0-12.q: depth=0-12 is outside the backbone"),
    ({"0-5.z": {}}, "placement.cells: 0-5.z: position=z is not a position"),
    ({"0-5.q": 8}, "placement.cells.0-5.q=8 is not a mapping"),
    (["0.q"], "placement.cells=['0.q'] is not legal; legal: a mapping or null"),
    ({"0-5.q": {"rank": "None"}}, "placement.cells.0-5.q.rank=None is the word None"),
]


@pytest.mark.parametrize(("cells", "words"), CELLS, ids=[str(cells) for cells, _ in CELLS])
def test_wrong_cells_are_one_sentence(change: Change, refused: Refused, cells: Any, words: str) -> None:
    text = refused(change({"placement.cells": cells}, placement="cells"))
    assert text.startswith(words)


def test_options_of_a_site_are_those_of_its_method(change: Change, refused: Refused) -> None:
    cells = {"placement.cells": {"0.ffn": {"bottleneck": 8, "scale": 0.5}}}
    resolve(change(cells, peft="adaptformer", placement="cells"))
    rank = {"placement.cells": {"0.ffn": {"rank": 8}}}
    assert "0.ffn has the option rank=8; legal: bottleneck," in refused(
        change(rank, peft="adaptformer", placement="cells")
    )
    scale = {"placement.cells": {"0.q": {"scale": 2.0}}}
    assert refused(change(scale, peft="bitfit", placement="cells")).endswith("legal: none")


def test_the_placement_that_was_checked_is_the_one_that_is_resolved(change: Change) -> None:
    resolved = resolve(change({"placement.depth": "75%-100%", "placement.position": "attn_qv"}))
    placed = place(resolved, block_labels(12), POSITIONS)
    assert list(placed.parts["peft"]) == [Site(block, name) for block in (9, 10, 11) for name in ("q", "v")]
    assert placed.sites == set(placed.parts["peft"])
    assert not placed.is_open
    assert len(place(resolved, block_labels(24), POSITIONS).parts["peft"]) == 12
    probe = place(resolve(change(peft="linear_probe")), block_labels(12), POSITIONS)
    assert probe.parts == {"peft": {}}
    assert probe.sites == set()
    own = ("q", "k", "v", "out", "mlp1", "mlp2")  # of a plain ViT
    assert len(place(resolve(change()), block_labels(12), own).parts["peft"]) == 12 * len(own)
    check_cells(placed, resolved.parts)


def test_every_part_of_a_hybrid_has_its_own_sites() -> None:
    placed = place(
        resolve(composed("peft=hlpt")), block_labels(12), [name for name in POSITIONS if name != "xkv"]
    )
    assert placed.parts == {
        "lora": {Site(block, "mlp2"): {} for block in range(9)},
        "prefix": {Site(block, "kv"): {} for block in range(9, 12)},
    }
    assert len(placed.sites) == 12


def test_two_deltas_at_one_site_are_refused(change: Change, refused: Refused) -> None:
    config = composed("peft=hlpt")
    config["peft"]["parts"]["prefix"] = copy.deepcopy(config["peft"]["parts"]["lora"])
    text = refused(config)
    assert text.startswith(
        "peft.parts.prefix and peft.parts.lora both have a delta at 0.mlp2; a site has one"
    )


def test_a_site_outside_the_blocks_of_the_method_is_refused(change: Change, refused: Refused) -> None:
    cells = {"placement.cells": {"11.q": {}, "2.q": {}}, "peft.depth": "0-5"}
    text = refused(change(cells, placement="cells"))
    assert text.startswith("placement: 11.q is outside the blocks of the method (peft depth: 0-5); change")
    assert refused(change({"peft.depth": "0-5", "placement.depth": 11})).startswith(
        "placement: 11.q is outside"
    )
    resolve(change({"peft.depth": "0-5", "placement.depth": "4-8"}))  # a grid is cut where the method ends


def test_scores_come_back_and_a_rule_without_a_scorer_is_open(change: Change) -> None:
    resolved = resolve(change({"placement.keep": 2}, placement="sensitivity"))
    before = place(resolved, block_labels(12), POSITIONS)
    assert before.is_open
    assert before.scores == {}
    assert len(before.sites) == 12 * (len(LINEAR) - 1), "all that it would choose from: proj is of no block"

    class Fake(Scorer):
        def squared_gradients(self, sites: Any, num: int, size: int) -> dict[Site, float]:
            return {site: float(site.block + (site.position == "v")) for site in sites}

    after = place(resolved, block_labels(12), POSITIONS, Fake())
    assert list(after.parts["peft"]) == [
        Site(10, "v"),
        Site(11, "v"),
    ]  # the lowest of those with 11, and the 12
    assert not after.is_open
    assert len(after.scores) == 12 * (len(LINEAR) - 1)
    assert after.scores[Site(11, "v")] == 12


@pytest.mark.parametrize(
    ("words", "share"),
    [
        (("placement.depth=0-2",), 0),
        (("placement.depth=[-1,3]",), 0.25),
        (("placement.depth=75%-100%",), 0.75),
        (("peft=bitfit",), 0),
    ],
)
def test_what_lies_below_the_first_site_is_known_before_there_is_a_backbone(
    words: tuple[str, ...], share: float
) -> None:
    assert below(resolve(composed("backbone=vit_tiny_patch8_32", *words))) == share
